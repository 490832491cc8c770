// Draws the dashboard that the page holds as window.screenshot, as Grafana lays it out.
import { createTheme, dateTime, ThemeContext } from '@grafana/data';
import { GlobalStyles } from '@grafana/ui';
import { createRoot } from 'react-dom/client';

import { Panel } from './panels';
import { prepare } from './prepare';

const { dashboard, variables, range, queries, boxes } = window.screenshot;
const theme = createTheme({ colors: { mode: 'dark' } });
const timeRange = fromSeconds(range);

function fromSeconds({ from, to }) {
  const ends = { from: dateTime(from * 1000), to: dateTime(to * 1000) };
  return { ...ends, raw: ends };
}

function titled(text) {
  return text.replace(/\$(\w+)/g, (whole, name) => variables.find((v) => v.name === name)?.text ?? whole);
}

function Row({ panel }) {
  const style = { color: theme.colors.text.primary, fontSize: theme.typography.h6.fontSize, padding: '4px 0' };
  return <div style={{ position: 'absolute', ...boxes[panel.id], ...style }}>⌄ {titled(panel.title)}</div>;
}

function Head() {
  const chosen = variables.map(({ label, text }) => `${label}: ${text}`).join('     ');
  const { primary, secondary } = theme.colors.text;
  return (
    <header style={{ padding: '10px 8px', whiteSpace: 'pre' }}>
      <b style={{ color: primary, fontSize: 18 }}>{dashboard.title}</b>
      <span style={{ color: secondary, marginLeft: 32 }}>{chosen}</span>
    </header>
  );
}

async function drawn(panel) {
  if (panel.type === 'row') {
    return <Row key={panel.id} panel={panel} />;
  }
  const box = boxes[panel.id];
  const frames = await prepare(panel, queries[panel.id], theme);
  return (
    <div key={panel.id} style={{ position: 'absolute', ...box }} data-panel={panel.title} data-series={frames.length}>
      <Panel {...{ panel, frames, timeRange }} title={titled(panel.title)} width={box.width} height={box.height} />
    </div>
  );
}

async function draw() {
  const panels = await Promise.all(dashboard.panels.map(drawn));
  createRoot(document.getElementById('root'), { onUncaughtError: fail }).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Head />
      {panels}
    </ThemeContext.Provider>,
  );
}

// A failure must be visible in the picture.
function fail(error) {
  document.body.dataset.failed = String(error);
  document.body.textContent = `Not drawn: ${error.stack}`;
}

draw().catch(fail);
