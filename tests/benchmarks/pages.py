"""Pages on large runs: how long they take to write, how much memory, and how quick they are in a browser.

    python -m tests.benchmarks.pages 10000 100000

Each size is a run that the store's own code writes, with texts that are kept. It is exported to a folder in a process
of its own; then Chromium opens the page from the disk, in a fresh profile: the time until the first documents are
drawn; a second later, the first search, and other choices, each until the first hits are drawn and until all are
counted; and a link with a search that is opened in another fresh profile.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.export.browser import Page, chromium
from tests.synthetic import documents, write_run

_EXPORT = """
import json, resource, sys, time
from ner_ray.commands.export import export_run
began = time.perf_counter()
counts = export_run(sys.argv[1], "html", sys.argv[2])
megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{counts.documents:,} documents in {time.perf_counter() - began:.1f} s, {megabytes:.0f} MiB of memory")
"""
STEPS = {
    "one word": "query=report+7777.",
    "two letters": "query=7.",
    "Chinese": "query=白鹭&label=person",
    "frequent": "query=harbour",
    "no hit": "query=xylophone",
    "label and score": "label=place&score=0.9",
    "status": "status=partial",
    "last page": "page=1000000",
}


def opened(page: Page, place: str) -> float:
    """Seconds from the start of loading until all is drawn and counted."""
    page.open(place, width=1280)
    waited = """new Promise((done) => {
        const { dataset } = document.documentElement;
        const is = () => dataset.drawn && dataset.done === dataset.drawn;
        const look = () => is() ? done(performance.now()) : setTimeout(look, 1);
        look();
    })"""
    return float(page.value(waited)) / 1000


def choose(page: Page, state: str) -> tuple[float, float]:
    """Seconds until the first hits are drawn, and until all are counted, after the page's state has changed."""
    first, last = page.value(
        f"""new Promise((done) => {{
            const {{ dataset }} = document.documentElement;
            const before = Number(dataset.drawn);
            const began = performance.now();
            let first = 0;
            location.hash = {json.dumps("#" + state)};
            const look = () => {{
                if (Number(dataset.drawn) > before) first ||= performance.now() - began;
                if (first && dataset.done === dataset.drawn) done([first, performance.now() - began]);
                else setTimeout(look, 1);
            }};
            look();
        }})"""
    )
    return first / 1000, last / 1000


def measure(size: int, folder: Path) -> None:
    """Prints the figures of one size."""
    run = write_run(folder, documents(size))
    out = folder / "page"
    done = subprocess.run(
        [sys.executable, "-c", _EXPORT, run.uri, f"{out}/"], check=True, capture_output=True, text=True
    )
    files = [file for file in out.rglob("*") if file.is_file()]
    print(
        done.stdout.strip(),
        f"{sum(file.stat().st_size for file in files) / 2**20:.0f} MiB in {len(files)} files",
        sep=", ",
    )
    url = (out / "index.html").as_uri()
    with chromium(folder / "profile") as page:
        print(f"  opened        {opened(page, url):.3f} s")
        time.sleep(1)
        for name, state in STEPS.items():
            first, last = choose(page, state)
            count = page.value("document.getElementById('count').textContent")
            print(f"  {name:16}{first:.3f} s, all {last:.3f} s: {count}")
    with chromium(folder / "other") as page:
        print(f"  opened with a search {opened(page, f'{url}#query=report+7777.'):.3f} s")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as place:
            measure(int(argument), Path(place))
