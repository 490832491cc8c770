// One panel of a dashboard, drawn with Grafana's own components.
import { getFieldDisplayValues } from '@grafana/data';
import { BigValue, PanelChrome, TimeSeries, useTheme2 } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

export function Panel({ panel, title, frames, timeRange, width, height }) {
  const Kind = KINDS[panel.type];
  const noValue = panel.fieldConfig.defaults.noValue ?? 'No data';
  const empty = !frames.some((frame) => frame.length > 0);
  return (
    <PanelChrome title={title} description={panel.description} width={width} height={height}>
      {(innerWidth, innerHeight) =>
        empty ? (
          <Words text={noValue} />
        ) : (
          <Kind {...{ panel, frames, timeRange }} width={innerWidth} height={innerHeight} />
        )
      }
    </PanelChrome>
  );
}

function Words({ text }) {
  const { colors, typography } = useTheme2();
  const style = { color: colors.text.secondary, fontSize: typography.h5.fontSize, margin: 'auto' };
  return <div style={{ height: '100%', display: 'flex', textAlign: 'center' }}><p style={style}>{text}</p></div>;
}

function Graph({ panel, frames, timeRange, width, height }) {
  const { legend } = panel.options;
  return (
    <TimeSeries {...{ frames, timeRange, legend, width, height }} timeZone="browser" options={panel.options} />
  );
}

function Figure({ panel, frames, width, height }) {
  const theme = useTheme2();
  const { colorMode, graphMode, reduceOptions } = panel.options;
  const [shown] = getFieldDisplayValues({
    fieldConfig: panel.fieldConfig,
    reduceOptions,
    replaceVariables: (text) => text,
    theme,
    data: frames,
  });
  return <BigValue {...{ colorMode, graphMode, width, height, theme }} textMode="value" value={shown.display} />;
}

function Table({ panel, frames, width, height }) {
  const { cellHeight, sortBy } = panel.options;
  return (
    <TableNG {...{ cellHeight, width, height, sortBy }} data={frames[0]} fieldConfig={panel.fieldConfig} enableVirtualization={false} />
  );
}

const KINDS = { timeseries: Graph, stat: Figure, table: Table };
