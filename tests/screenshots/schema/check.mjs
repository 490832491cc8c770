// node check.mjs FILE...: prints, as JSON, what Grafana's types do not allow in each dashboard.
import { readFileSync } from 'node:fs';

import { Ajv } from 'ajv';
import { createGenerator } from 'ts-json-schema-generator';

const generator = createGenerator({ path: 'types.ts', skipTypeCheck: true });
const ajv = new Ajv({ strict: false, allErrors: true });
const validators = new Map();

function complaints(type, value, where) {
  if (!validators.has(type)) {
    validators.set(type, ajv.compile(generator.createSchema(type)));
  }
  const validate = validators.get(type);
  validate(value);
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${where}${instancePath}: ${message} ${JSON.stringify(params)}`,
  );
}

// "timeseries" → "Timeseries", as the types are named.
function kind({ type }) {
  return type[0].toUpperCase() + type.slice(1);
}

function ofPanel(panel) {
  const where = `${panel.title}: `;
  const custom = panel.fieldConfig.defaults.custom;
  return [
    ...complaints(`${kind(panel)}Options`, panel.options, `${where}options`),
    ...(custom ? complaints(`${kind(panel)}Fields`, custom, `${where}custom`) : []),
  ];
}

function ofDashboard(dashboard) {
  // Queries of marks belong to their data source; the schema of dashboards knows none of them.
  const marks = dashboard.annotations.list.map(({ expr, ...mark }) => mark);
  const panels = dashboard.panels.filter(({ type }) => type !== 'row');
  return [
    ...complaints('Dashboard', { ...dashboard, annotations: { list: marks } }, ''),
    ...panels.flatMap(ofPanel),
  ];
}

const found = process.argv
  .slice(2)
  .map((path) => [path, ofDashboard(JSON.parse(readFileSync(path, 'utf8')))]);
process.stdout.write(JSON.stringify(Object.fromEntries(found)));
