// From queries to what a panel draws: transformations, then units, colours and overrides,
// all of them Grafana's own functions.
import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  Registry,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';

import { toFrames } from './frames';

standardTransformersRegistry.setInit(() =>
  [
    'mergeTransformer',
    'filterFieldsByNameTransformer',
    'organizeFieldsTransformer',
    'convertFieldTypeTransformer',
  ].map((name) => ({
    id: standardTransformers[name].id,
    name,
    transformation: () => Promise.resolve(standardTransformers[name]),
    editor: () => null,
  })),
);

export async function prepare(panel, queries, theme) {
  const frames = queries.flatMap((query) =>
    toFrames({ ...query, severalQueries: queries.length > 1 }),
  );
  const transformed = await once(transformDataFrame(panel.transformations ?? [], frames));
  const styled = applyFieldOverrides({
    data: transformed,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: registry(panel.fieldConfig),
    replaceVariables: (text) => text,
    theme,
    timeZone: 'browser',
  });
  cacheFieldDisplayNames(styled);
  return styled;
}

function once(observable) {
  return new Promise((resolve, reject) => observable.subscribe({ next: resolve, error: reject }));
}

// Grafana's server bundle registers these options; here they are those that the panel uses.
function registry({ defaults, overrides }) {
  const custom = Object.keys(defaults.custom ?? {}).map((key) => `custom.${key}`);
  const overridden = overrides.flatMap(({ properties }) => properties.map(({ id }) => id));
  const plain = Object.keys(defaults).filter((key) => key !== 'custom');
  return new Registry(() => [...new Set([...plain, ...custom, ...overridden])].map(option));
}

function option(id) {
  const isCustom = id.startsWith('custom.');
  return {
    id,
    name: id,
    path: isCustom ? id.slice('custom.'.length) : id,
    isCustom,
    process: (value) => (id === 'thresholds' ? fromJson(value) : value),
    shouldApply: () => true,
  };
}

// JSON has no infinity: the lowest threshold is stored as null.
function fromJson(thresholds) {
  const steps = thresholds.steps.map((step) => ({ ...step, value: step.value ?? -Infinity }));
  return { ...thresholds, steps };
}
