/**
 * The style of the page: light or dark like the system of the reader, without fonts from elsewhere.
 *
 * A test computes the contrast of each text colour with its backgrounds, and what remains of a width of 500 pixels.
 */
export const style = `
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1c2430;--soft:#596377;--line:#e3e7ee;--grid:#eef1f5;
--model:#4f7cff;--tool:#12a594;--approval:#e5a000;--process:#8b7cf6;--delegate:#d6409f;
--bad:#c62a2f;--stopped:#5f6b7c;--good:#1f7a4f;--on:#fff;--add:#e2f6ea;--remove:#fde8e8}
@media screen and (prefers-color-scheme:dark){:root{--bg:#0f1319;--card:#171c24;--ink:#e6eaf1;--soft:#9eaabd;--line:#262e3a;--grid:#1f2630;
--model:#6d92ff;--tool:#1fc2ae;--approval:#f5b83d;--process:#a396ff;--delegate:#ee6bbd;
--bad:#ff7a7f;--stopped:#98a4b5;--good:#3dd68c;--on:#0b0f14;--add:#12331f;--remove:#431a1d}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1180px;padding:28px 24px 60px;background:var(--bg);color:var(--ink);
font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
h1{margin:0 0 14px;font-size:22px;letter-spacing:-.01em;overflow-wrap:anywhere}
.facts{display:flex;flex-wrap:wrap;gap:6px 28px;margin:0 0 18px}
.facts div{min-width:0}
.facts dt{color:var(--soft);font-size:11px;text-transform:uppercase;letter-spacing:.06em}
.facts dd{margin:0;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.overview{display:flex;flex-wrap:wrap;gap:3px;margin:0 0 14px}
.overview a{min-width:22px;padding:3px 0;border-radius:4px;background:var(--good);color:var(--on);font-size:11px;text-align:center;text-decoration:none}
.overview .failed{background:var(--bad);color:var(--on)}.overview .aborted,.overview .open{background:var(--stopped);color:var(--on)}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;margin:0 0 16px;color:var(--soft);font-size:12px}
.swatch{display:inline-block;width:10px;height:10px;margin-right:6px;border-radius:3px;vertical-align:-1px}
.model{background:var(--model)}.tool{background:var(--tool)}.approval{background:var(--approval)}
.process{background:var(--process)}.delegate{background:var(--delegate)}
.swatch.bad{background:var(--bad)}.swatch.stopped{background:var(--stopped)}
.turn{margin:0 0 18px;padding:16px 20px 14px;border:1px solid var(--line);border-left:4px solid var(--good);border-radius:10px;background:var(--card)}
.turn.failed{border-left-color:var(--bad)}.turn.aborted,.turn.open{border-left-color:var(--stopped)}
h2{display:flex;flex-wrap:wrap;align-items:baseline;gap:4px 10px;margin:0 0 10px;font-size:16px}
h2 small{width:100%;color:var(--soft);font-size:12px;font-weight:400;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.badge{padding:1px 9px;border-radius:99px;background:var(--good);color:var(--on);font-size:12px;font-weight:600}
.badge.failed{background:var(--bad);color:var(--on)}.badge.aborted,.badge.open{background:var(--stopped);color:var(--on)}
.reason{color:var(--soft);font-size:13px;font-weight:400;overflow-wrap:anywhere}
.hidden{padding:0 3px;border-radius:3px;background:var(--bad);color:var(--on);font-size:.85em}
blockquote{margin:0 0 14px;padding:8px 12px;border-radius:8px;background:var(--bg);white-space:pre-wrap;overflow-wrap:anywhere;max-height:9em;overflow:auto}
.chart{position:relative;margin:0 0 12px;font-size:12px}
.ticks{position:relative;height:18px;margin-left:250px;margin-right:180px;border-bottom:1px solid var(--line)}
.ticks span{position:absolute;transform:translateX(-50%);color:var(--soft);font-size:11px;white-space:nowrap;font-variant-numeric:tabular-nums}
.ticks span:first-child{transform:none}
.row,.row>summary{display:grid;grid-template-columns:250px 1fr 180px;align-items:center}
details.row{display:block}
.row>summary{cursor:pointer;list-style:none;border-bottom:1px solid var(--grid)}
.row>summary::-webkit-details-marker{display:none}
.row>summary:hover{background:var(--bg)}
.label{padding-left:16px;padding-right:12px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.row>summary>.label::before{content:"▸";display:inline-block;width:12px;margin-left:-14px;color:var(--soft)}
.row[open]>summary>.label::before{content:"▾"}
.depth1{padding-left:36px;color:var(--soft)}
.track{position:relative;height:22px;background:linear-gradient(var(--grid),var(--grid)) 0 50%/100% 1px no-repeat}
.bar{position:absolute;top:5px;height:12px;border-radius:3px;min-width:3px}
.bar.bad{background:var(--bad)}
.bar.stopped,.bar.open{background-image:repeating-linear-gradient(135deg,transparent 0 4px,rgba(127,127,127,.55) 4px 8px)}
.result{padding-left:12px;overflow:hidden;color:var(--soft);text-overflow:ellipsis;white-space:nowrap;font-variant-numeric:tabular-nums}
.result.bad{color:var(--bad)}
.mark{position:absolute;top:3px;width:3px;height:16px;margin-left:-1px;border-radius:2px;background:var(--approval)}
.mark.abort{background:var(--bad)}.mark.straggler{background:var(--stopped)}.mark.steer{background:var(--model)}.mark.info{background:var(--soft)}
.details{margin:6px 0 10px 20px;padding:8px 12px;border-radius:8px;background:var(--bg)}
.details dt{color:var(--soft);font-size:11px;overflow-wrap:anywhere}
.details dd{margin:0 0 6px}
pre{margin:0;font:12px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre-wrap;overflow-wrap:anywhere;max-height:28em;overflow:auto}
.diff span{display:block}
.diff .add{background:var(--add);color:var(--ink)}.diff .remove{background:var(--remove);color:var(--ink)}.diff .hunk{color:var(--soft)}
.answer{margin:0 0 10px;padding:2px 0 2px 12px;border-left:3px solid var(--line);white-space:pre-wrap;overflow-wrap:anywhere}
.messages summary{cursor:pointer;color:var(--soft);font-size:12px}
.messages div{margin:10px 0 0;padding-left:12px;border-left:3px solid var(--line)}
.messages .user{border-color:var(--model)}.messages .assistant{border-color:var(--tool)}
.messages b{color:var(--soft);font-size:11px;font-weight:600}
.note{margin:0 0 14px;color:var(--soft);font-size:12px;text-align:center;white-space:pre-wrap;overflow-wrap:anywhere}
.empty{color:var(--soft)}
@media(max-width:900px){.row,.row>summary{grid-template-columns:180px 1fr 140px}.ticks{margin-left:180px;margin-right:140px}}
@media(max-width:640px){body{padding:16px 10px 40px}.turn{padding:12px 10px 10px}
.row,.row>summary{grid-template-columns:1fr 45%}.ticks{margin-left:0;margin-right:0}
.track{grid-column:1/-1;grid-row:2}.details{margin-left:0}}
@media print{body{max-width:none}.turn{break-inside:avoid-page}}
`
