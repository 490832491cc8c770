// Prometheus' answers as the data frames that Grafana's own data source makes of them.
import { createDataFrame, FieldType } from '@grafana/data';

export function toFrames({ refId, legend, table, severalQueries, stepSeconds, data }) {
  const series = data.resultType === 'scalar' ? [{ metric: {}, value: data.result }] : data.result;
  if (table) {
    return series.length ? [tableFrame(refId, severalQueries, series)] : [];
  }
  return series.map((one) => seriesFrame(refId, legend, stepSeconds, one));
}

function seriesFrame(refId, legend, stepSeconds, { metric, values, value }) {
  const points = values ?? [value];
  return createDataFrame({
    refId,
    fields: [
      {
        name: 'Time',
        type: FieldType.time,
        values: points.map(([seconds]) => seconds * 1000),
        // Where points are further apart than this, the line is broken.
        config: { interval: stepSeconds * 1000 },
      },
      {
        name: 'Value',
        type: FieldType.number,
        labels: metric,
        values: points.map(([, text]) => toNumber(text)),
        config: legend === '__auto' ? {} : { displayNameFromDS: named(legend, metric) },
      },
    ],
  });
}

function tableFrame(refId, severalQueries, series) {
  const labels = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))].sort();
  return createDataFrame({
    refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: series.map(({ value }) => value[0] * 1000) },
      ...labels.map((label) => ({
        name: label,
        type: FieldType.string,
        values: series.map(({ metric }) => metric[label] ?? ''),
      })),
      {
        name: severalQueries ? `Value #${refId}` : 'Value',
        type: FieldType.number,
        values: series.map(({ value }) => toNumber(value[1])),
      },
    ],
  });
}

function named(legend, labels) {
  return legend.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => labels[label] ?? '');
}

// Prometheus writes "NaN", "+Inf" and "-Inf". Grafana shows no value for the first.
function toNumber(text) {
  const number = text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text);
  return Number.isNaN(number) ? null : number;
}
