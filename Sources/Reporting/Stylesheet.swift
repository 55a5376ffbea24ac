/// The page's only style sheet: system fonts, two palettes, one column of text, wide tables that scroll by themselves.
enum Stylesheet {
  static let text = """
    :root {
      color-scheme: light dark;
      --paper: #fcfbf8; --ink: #1c1b19; --muted: #6a665f; --rule: #e2ded6; --shade: #f4f1ea;
      --pays: #00694c; --trades: #8a5a00; --avoid: #a33a00; --wrong: #c00020; --link: #005a92;
      --serif: Charter, "Bitstream Charter", "Sitka Text", Cambria, "Noto Serif", Georgia, serif;
      --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif;
      --mono: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
    }
    @media (prefers-color-scheme: dark) {
      :root {
        --paper: #17181b; --ink: #ece9e2; --muted: #a5a098; --rule: #35363a; --shade: #1f2125;
        --pays: #4fd0a3; --trades: #edb75a; --avoid: #ff9d6b; --wrong: #ff6b7d; --link: #7cbdf0;
      }
    }
    * { box-sizing: border-box; }
    html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
    body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.6 var(--sans); overflow-wrap: break-word; }
    main { max-width: 84rem; margin: 0 auto; padding: clamp(1.5rem, 5vw, 4rem) clamp(1rem, 4vw, 2.5rem) 4rem; }
    h1, h2, h3 { font-family: var(--serif); font-weight: 600; line-height: 1.2; text-wrap: balance; }
    h1 { font-size: clamp(1.75rem, 5vw, 2.6rem); letter-spacing: -0.01em; margin: 0 0 0.4rem; }
    h2 { font-size: 1.5rem; margin: 3.5rem 0 0.8rem; padding-top: 1.2rem; border-top: 1px solid var(--rule); }
    h3 { font-size: 1.15rem; margin: 2.4rem 0 0.5rem; }
    p, ul, dl.words, .note { max-width: 43rem; }
    p { margin: 0 0 1em; text-wrap: pretty; }
    .byline { color: var(--muted); font-size: 0.9rem; margin-bottom: 2rem; }
    .answer { font: 1.25rem/1.55 var(--serif); max-width: 44rem; }
    .note { border-left: 3px solid var(--rule); padding: 0.1rem 0 0.1rem 1rem; margin: 1.5rem 0; color: var(--muted); }
    .note.alarm { border-color: var(--wrong); color: inherit; }
    .note p, .note ul { margin: 0.3rem 0; }
    .wrong { color: var(--wrong); font-weight: 700; }
    p.quiet { font-size: 0.9rem; }
    small, figcaption, .quiet { color: var(--muted); }
    .scroll { overflow-x: auto; width: fit-content; max-width: 100%; margin: 1rem 0 1.5rem; border-bottom: 1px solid var(--rule); }
    .scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
    table { border-collapse: collapse; font-size: 0.8125rem; line-height: 1.35; font-variant-numeric: tabular-nums; min-width: 100%; }
    th, td { padding: 0.45rem 0.45rem; text-align: right; white-space: nowrap; vertical-align: baseline; }
    thead th { font-weight: 500; color: var(--muted); vertical-align: bottom; border-bottom: 1px solid var(--ink); white-space: normal; min-width: 3.8rem; }
    thead th small { display: block; font-weight: 400; font-size: 0.75rem; }
    tbody tr + tr > * { border-top: 1px solid var(--rule); }
    thead th { text-wrap: balance; }
    th.t, td.t, tr > :first-child { text-align: left; }
    tr > :first-child { position: sticky; left: 0; background: var(--paper); min-width: 0; max-width: 11rem; overflow: hidden; text-overflow: ellipsis; padding-left: 0; }
    tbody th { font-weight: 600; }
    td small, .pm { color: var(--muted); font-size: 0.8em; }
    .verdict { display: inline-block; font-weight: 600; border: 1px solid currentColor; border-radius: 99px; padding: 0.02rem 0.6rem; font-size: 0.8rem; white-space: nowrap; }
    .pays { color: var(--pays); } .maypay { color: var(--pays); border-style: dashed; } .trades { color: var(--trades); } .avoid { color: var(--avoid); } .none, .reference { color: var(--muted); }
    dl.words { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: 0.35rem 1.2rem; margin: 1rem 0; }
    dl.words dt { font-weight: 600; } dl.words dd { margin: 0; }
    figure { margin: 2.2rem 0 3rem; max-width: 62rem; } figure h3 { margin: 0 0 0.8rem; }
    figure img { display: block; width: 100%; height: auto; }
    figcaption { font-size: 0.875rem; line-height: 1.5; max-width: 43rem; margin-top: 0.8rem; }
    details { margin: 1rem 0; } summary { cursor: pointer; font-weight: 600; padding: 0.3rem 0; }
    dl.facts { display: grid; grid-template-columns: minmax(7rem, 15rem) 1fr; gap: 0; margin: 1rem 0; font-size: 0.925rem; max-width: 56rem; }
    dl.facts > * { padding: 0.4rem 0; border-top: 1px solid var(--rule); margin: 0; }
    dl.facts dt { color: var(--muted); padding-right: 1rem; } dl.facts dd { min-width: 0; }
    code, pre { font: 0.875em/1.5 var(--mono); } pre { background: var(--shade); padding: 0.8rem 1rem; border-radius: 6px; overflow-x: auto; }
    a { color: var(--link); }
    @media (max-width: 35rem) {
      dl.words { grid-template-columns: 1fr; gap: 0; } dl.words dd { margin-bottom: 0.8rem; }
      dl.facts { grid-template-columns: 1fr; } dl.facts dd { border-top: 0; padding-top: 0; }
      tr > :first-child { max-width: 8.5rem; white-space: normal; } th, td { padding: 0.45rem 0.5rem; }
    }
    @media print { .scroll { overflow: visible; } main { max-width: none; } figure { break-inside: avoid; } }
    """
}
