"""The page's one style sheet. Colours mean the same everywhere: what was measured is dark, what the release says as a
whole is blue, its parts are grey, what was estimated is a blue line, what needs a person is vermilion."""

from kdsl.report.markup import Markup

CSS = Markup("""
:root { --paper: #fff; --ink: #1c2126; --soft: #5b6670; --faint: #e3e7ea; --rule: #c3cad0; --part: #8b96a0;
  --whole: #0a66b0; --band: #0a66b02b; --alarm: #c2410c; --cell: 10 102 176; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --paper: #15191d; --ink: #e8ecef; --soft: #a3adb6; --faint: #2a3138;
  --rule: #46505a; --part: #7c8791; --whole: #5aaef0; --band: #5aaef033; --alarm: #fb8a4c; --cell: 90 174 240; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 66rem; padding: 1.25rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", sans-serif;
  overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 2.75rem 0 .25rem; padding-top: .9rem;
  border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .35rem 0; max-width: 46rem; }
.soft, figcaption, .axis text, th { color: var(--soft); }
.soft, figcaption, small { font-size: .875rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1rem 0; }
.tile { border: 1px solid var(--rule); border-radius: .5rem; padding: .6rem .8rem; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.2; font-weight: 600; font-variant-numeric: tabular-nums; }
.tile span { font-size: .875rem; color: var(--soft); display: block; line-height: 1.35; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); gap: 1rem 2.5rem; }
.plots > * { min-width: 0; }
.wide { grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); }
figure { margin: .5rem 0; max-width: 34rem; min-width: 0; }
figcaption { margin-bottom: .2rem; line-height: 1.35; }
figcaption b { display: block; color: var(--ink); font-weight: 600; }
svg { display: block; width: 100%; height: auto; font-size: 11px; }
svg text { fill: var(--ink); font-family: inherit; }
.axis line, .axis path { stroke: var(--rule); fill: none; }
.axis text, svg text.head { fill: var(--soft); }
.rows { display: grid; gap: .15rem; margin: .4rem 0; max-width: 46rem; }
.row { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 6fr) 9.6rem; gap: .6rem;
  align-items: center; font-size: .9rem; line-height: 1.25; min-height: 1.7rem; }
.row > :last-child { font-variant-numeric: tabular-nums; color: var(--soft); font-size: .8rem; }
.row > :last-child small { font-size: .75rem; white-space: nowrap; }
.row > :last-child b { color: var(--ink); font-size: .9rem; font-weight: 600; }
.track { position: relative; height: 1.1rem;
  background: linear-gradient(var(--faint), var(--faint)) center / 100% 1px no-repeat; }
.track i { position: absolute; top: 50%; transform: translateY(-50%); background: var(--part); }
.track .span { height: 4px; border-radius: 2px; opacity: .55; }
.track .dot { width: 11px; height: 11px; border-radius: 50%; margin-left: -5.5px; }
.track .ring { width: 11px; height: 11px; border-radius: 50%; margin-left: -5.5px; background: var(--paper);
  border: 2px solid var(--part); }
.track .zero { width: 1px; height: 100%; background: var(--rule); }
.track .whole { background: var(--whole); }
.scale { font-size: .75rem; color: var(--soft); position: relative; height: 1.1rem; }
.scale span { position: absolute; white-space: nowrap; transform: translateX(-50%); }
.scale span:first-child { transform: none; }
.scale span:last-child { transform: translateX(-100%); }
.scroll { overflow-x: auto; max-width: 100%; }
.beside { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; align-items: flex-start; }
.beside > * { min-width: 0; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--faint); vertical-align: top; }
th { font-weight: 500; white-space: nowrap; }
.n { text-align: right; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: .75rem; padding: 0;
  margin: .6rem 0; list-style: none; }
.cards li { border: 1px solid var(--rule); border-radius: .5rem; padding: .6rem .8rem; font-size: .9rem; min-width: 0; }
.cards p { margin: 0 0 .3rem; }
.key { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin: 0 .3rem 0 0;
  background: var(--part); }
.key.whole { background: var(--whole); } .key.ink { background: var(--ink); } .key.alarm { background: var(--alarm); }
.key.ring { background: none; border: 2px solid var(--part); }
.alarm { color: var(--alarm); font-weight: 600; }
summary { cursor: pointer; font-size: .9rem; color: var(--whole); padding: .3rem 0; }
ol.names { columns: 15rem; font-size: .875rem; padding-left: 1.8rem; margin: .4rem 0; }
footer { margin-top: 3rem; border-top: 1px solid var(--rule); padding-top: .8rem; }
@media (max-width: 30rem) { .row { grid-template-columns: minmax(0, 5fr) minmax(0, 6fr) 6.4rem; gap: .5rem; }
  .row > :last-child small { display: block; } }
@media print { details > * { display: block; } body { max-width: none; } }
""")
