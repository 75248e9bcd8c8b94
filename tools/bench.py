"""Print time, memory and page weight of each chapter, from the recorded execution."""

import pathlib

import execute

root = pathlib.Path(__file__).resolve().parents[1]
chapters = execute.load_results(root)["chapters"]
print(f"{'chapter':24}{'seconds':>9}{'budget':>8}{'MiB':>8}{'budget':>8}{'page KiB':>10}")
for name, row in chapters.items():
    budget = execute.read_chapter(root, name).metadata.get("budget", {})
    print(
        f"{name:24}{row['seconds']:9.1f}{budget.get('seconds', 0):8d}"
        f"{row['peak_mib']:8.0f}{budget.get('mib', 0):8d}{row.get('page_kib', float('nan')):10.0f}"
    )
print(f"{'all':24}{sum(row['seconds'] for row in chapters.values()):9.1f}")
