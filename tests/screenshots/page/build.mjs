// node build.mjs: makes page.js and page.css, which a page can load from a file, without a server.
import { build } from 'esbuild';

await build({
  entryPoints: ['src/main.jsx'],
  outfile: 'page.js',
  bundle: true,
  minify: true,
  format: 'iife',
  jsx: 'automatic',
  loader: { '.ttf': 'dataurl' },
  define: { 'process.env.NODE_ENV': '"production"', 'process.env': '{}', global: 'window' },
  logLevel: 'warning',
});
