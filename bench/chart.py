"""speed.svg: how fast the large state goes to files and back, as horizontal bars. Legible on light and dark pages."""

GROUPS = (
    ("save, not synced", "save/large", ("trainstate", "limit", "libtorch", "python", "safetensors")),
    ("save, synced", "save_sync/large", ("trainstate", "limit")),
    ("load, verified", "load/large", ("trainstate", "limit", "libtorch", "python", "safetensors")),
    ("load, not verified", "load_unverified/large", ("trainstate", "limit")),
    ("save as .pt", "pt_save/large", ("trainstate", "limit", "libtorch", "python")),
    ("load a .pt, verified", "pt_load/large", ("trainstate", "limit", "libtorch", "python")),
)
LABELS = {
    "trainstate": "trainstate",
    "limit": "the machine's limit",
    "libtorch": "LibTorch",
    "python": "Python",
    "safetensors": "safetensors",
}
STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .group { font-weight: 600 }
  .quiet { fill: #59636e; font-size: 12px }
  .end { text-anchor: end }
  rect { fill: #afb8c1 }
  rect.trainstate { fill: #0969da }
  rect.limit { fill: none; stroke: #6e7781; stroke-dasharray: 3 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .quiet { fill: #9198a1 }
    rect { fill: #57606a }
    rect.trainstate { fill: #4493f8 }
    rect.limit { fill: none; stroke: #9198a1 }
  }"""
WIDTH, LEFT, RIGHT, ROW, GAP, TOP = 760, 190, 90, 19, 30, 62


def draw(measured, title, caption):
    def speed(name):
        entry = measured.get(name)
        return entry["bytes"] / entry["seconds"] / 2**30 if entry else None

    groups = [(text, [(who, speed(f"{name}/{who}")) for who in all_of]) for text, name, all_of in GROUPS]
    fastest = max(value for _, bars in groups for _, value in bars if value)
    y, body = TOP, []
    for text, bars in groups:
        body.append(f'<text class="group" x="16" y="{y}">{text}</text>')
        y += 8
        for who, value in bars:
            if not value:
                continue
            length = (WIDTH - LEFT - RIGHT) * value / fastest
            body.append(f'<text class="end" x="{LEFT - 10}" y="{y + 13}">{LABELS[who]}</text>')
            body.append(f'<rect class="{who}" x="{LEFT}" y="{y + 2}" width="{length:.1f}" height="{ROW - 5}" rx="2"/>')
            body.append(f'<text class="quiet" x="{LEFT + length + 7:.1f}" y="{y + 13}">{value:.2f}</text>')
            y += ROW
        y += GAP
    height = y + 12
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
            f' role="img" aria-label="{title}">',
            f"<style>{STYLE}\n</style>",
            f'<text class="title" x="16" y="26">{title}</text>',
            *body,
            f'<text class="quiet" x="16" y="{height - 12}">{caption}</text>',
            "</svg>\n",
        ]
    )
