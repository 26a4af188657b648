"""The built book as a reader meets it: in Chromium, served and from disk, on a desk and a phone, light and dark.

`make browser` names the book in SWREF_BOOK, and then a missing book or browser is an error. Elsewhere, without the
variable, only the planted faults are tried, where there is a browser.
"""

import functools
import gzip
import http.server
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image
from test_book import ROOT, pages
from test_live import FLAGS, chromium

INSPECTION = (Path(__file__).parent / "pages.js").read_text(encoding="utf-8")
BOOK = Path(os.environ["SWREF_BOOK"]).resolve() if "SWREF_BOOK" in os.environ else None
PAGES = sorted(p.relative_to(BOOK).as_posix() for p in BOOK.rglob("*.html") if "_static" not in p.parts) if BOOK else []
PAGES = [page for page in PAGES if page != "index.html"]  # which leads to the introduction at once
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
OFFLINE = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
TALLEST = 30_000  # pixels of a photograph; JPEG has at most 65,535, and the API page is taller on a phone
DARK = 0.3  # of white: the most that the ground of a picture may shine on a dark page
ALIKE = 8 / 255  # of white: the most by which it may differ from the page's ground; JPEG blurs by less
PACKED = {".html", ".js", ".css", ".svg", ".json"}  # what every public server compresses


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def browser():
    if chromium() is None:
        assert BOOK is None, "SWREF_BOOK asks for a browser: `make browser` installs Playwright; Chromium must be there"
        pytest.skip("NO BROWSER: no page of the book is opened in one (make browser)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS + OFFLINE)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def serve():
    """serve(folder): the address at which this folder is served, on this machine only."""
    servers = []

    @functools.cache
    def serve(folder):
        handler = functools.partial(Quiet, directory=str(folder))
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


class Visit:
    """One page in a fresh browser window, with all that goes wrong there in ``faults``."""

    def __init__(self, browser, root, page, home):
        """``home``: the folder that holds ``page``; ``root``: the address under which the browser finds it."""
        self.home, self.root, self.faults, self.fetched = home, root, [], set()
        self.context = browser.new_context(viewport=DESK, color_scheme="light")
        self.page = self.context.new_page()
        self.page.on("console", lambda said: said.type == "error" and self.faults.append(f"console: {said.text}"))
        self.page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        self.page.on("request", self._request)
        self.page.goto(f"{root}/{page}")
        self.page.evaluate("window.MathJax?.startup.promise.then(() => document.fonts.ready).then(() => true)")
        self.page.add_script_tag(content=INSPECTION)
        self.page.add_style_tag(content="*, ::before, ::after { transition: none !important }")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    def _request(self, request):
        path = self._local(request.url)
        if path is None:
            self.faults += [] if request.url.startswith(("data:", "blob:")) else [f"external request: {request.url}"]
        elif path.is_file():
            self.fetched.add(path)
        else:
            self.faults.append(f"missing file: {request.url}")

    def _local(self, url):
        """The file behind an address, None if it is elsewhere."""
        if not url.startswith(f"{self.root}/"):
            return None
        path = self.home / unquote(urlsplit(url).path.removeprefix(urlsplit(self.root).path).lstrip("/"))
        return path / "index.html" if path.is_dir() else path

    def look(self, *questions):
        """Ask functions of pages.js, and note what they answer."""
        for question in questions:
            self.faults += [fault for fault in self.page.evaluate(f"pages.{question}()") if fault not in self.faults]

    def follow_links(self):
        for url in set(self.page.evaluate("pages.links()")):
            path, fragment = self._local(url), unquote(urlsplit(url).fragment)
            if path is None:
                continue
            if not path.is_file():
                self.faults.append(f"broken link: {url}")
            elif fragment and fragment not in ids(path):
                self.faults.append(f"broken anchor: {url}")

    def photograph(self, file):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        width, height = self.page.evaluate("[innerWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, TALLEST)}
        self.page.screenshot(path=file, full_page=True, clip=clip, type="jpeg", quality=60)

    def darken(self, file):
        """The dark page, photographed; no picture may be a light card, or a box of another colour, on it."""
        self.page.emulate_media(color_scheme="dark")
        self.photograph(file)
        with Image.open(file) as photo:
            grey = photo.convert("L")
        ground = self.page.evaluate("pages.ground()")
        for picture in self.page.evaluate("pages.corners()"):
            inside = [(x, y) for x, y in picture["places"] if 0 <= x < grey.width and 0 <= y < grey.height]
            shine = [grey.getpixel(place) / 255 for place in inside]
            if max(shine, default=0) > DARK:
                self.faults.append(f"light card on the dark page: {picture['name']}")
            elif min((abs(one - ground) for one in shine[:2]), default=0) > ALIKE:
                self.faults.append(f"box on the dark page: {picture['name']}")
        self.page.emulate_media(color_scheme="light")

    def open_everything(self):
        """Every dropdown, and every solution by a click on the link in its title: readers hit that."""
        self.page.evaluate("document.querySelectorAll('main details:not([open]) > summary').forEach((s) => s.click())")
        closed = "main :is(details:not([open]) > summary, .toggle-hidden > .admonition-title)"
        for title in self.page.query_selector_all(closed):
            (title.query_selector("a") or title).click(force=True)
        self.faults += [f"stays closed: {t.text_content().strip()}" for t in self.page.query_selector_all(closed)]

    def move_sliders(self, most=None):
        """Sliders and menus, by the keyboard: one step or, where that leaves the picture as it is, to an end."""
        for slider in self.page.locator("main :is(input[type=range], .swref-rows select):visible").all()[:most]:
            before = slider.evaluate("pages.drawing")
            for key in ("ArrowRight", "ArrowLeft", "End", "Home"):
                slider.press(key)
                if slider.evaluate("pages.drawing") != before:
                    break
            else:
                self.faults.append(f"{slider.evaluate('(one) => one.outerHTML')} moves nothing")


@functools.cache
def ids(path):
    return set(re.findall(r'\bid="([^"]+)"', path.read_text(encoding="utf-8")))


def read(browser, root, page, home, screens):
    """All that a reader may do with a page: its faults, and the files that it needed."""
    photo = functools.partial("{}/{}-{}.jpg".format, screens, page.removesuffix(".html").replace("/", "-"))
    with Visit(browser, root, page, home) as visit:
        visit.follow_links()
        visit.look("unrendered", "cropped", "spilled", "torn", "pictures")
        visit.photograph(photo("light"))
        visit.darken(photo("dark"))
        visit.page.set_viewport_size(PHONE)
        visit.look("cropped", "torn", "pictures")
        visit.photograph(photo("phone"))
        visit.darken(photo("phone-dark"))
        visit.page.set_viewport_size(DESK)
        visit.move_sliders()
        visit.open_everything()
        visit.look("unrendered", "cropped", "spilled", "torn", "pictures")
        visit.page.set_viewport_size(PHONE)
        visit.look("cropped", "torn", "pictures")
        return visit.faults, visit.fetched


# -- the book ---------------------------------------------------------------------------------------------------------

needs_book = pytest.mark.skipif(BOOK is None, reason="NO BOOK: its pages are not opened in a browser (make browser)")
WEIGHTS = {}


@needs_book
def test_the_book_is_built():
    assert {f"{page}.html" for page in pages()} <= set(PAGES), f"{BOOK}: not the whole book, `make book` builds it"


@needs_book
@pytest.mark.parametrize("page", PAGES)
def test_a_page_on_a_server(page, browser, serve):
    faults, fetched = read(browser, serve(BOOK), page, BOOK, BOOK.parent / "screens")
    WEIGHTS[page] = [sum(map(weight, files)) for files in (fetched, {BOOK / page})]
    assert faults == []


@needs_book
@pytest.mark.parametrize("page", PAGES)
def test_a_page_from_disk(page, browser):
    with Visit(browser, BOOK.as_uri(), page, BOOK) as visit:
        visit.look("unrendered")
        visit.move_sliders(most=1)
    assert visit.faults == []


@needs_book
def test_the_front_door_and_the_search(browser, serve):
    page = browser.new_page()
    page.goto(f"{serve(BOOK)}/index.html")
    page.wait_for_url("**/book/intro.html")
    page.goto(f"{serve(BOOK)}/search.html?q=certificate")
    page.locator("#search-results li").first.wait_for()
    page.close()


@needs_book
def test_what_pages_weigh(capsys):
    """Not judged, shown: kilobytes sent to a first visitor, with all scripts and fonts, and for the page alone."""
    lines = [f"{'kB sent':>8} {'page':>6}"]
    lines += [f"{first / 1000:8.0f} {alone / 1000:6.0f}  {page}" for page, (first, alone) in sorted(WEIGHTS.items())]
    (BOOK.parent / "screens" / "weights.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with capsys.disabled():
        print("", *lines, sep="\n")
    assert all(0 < alone < first for first, alone in WEIGHTS.values())


def weight(path):
    """Bytes sent for this file: texts are compressed on the way."""
    content = path.read_bytes()
    return len(gzip.compress(content) if path.suffix in PACKED else content)


# -- planted faults ---------------------------------------------------------------------------------------------------

SOUND = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<style>
  body { margin: 0 } img { max-width: 100% } .math { display: inline-flex } .toggle-hidden p { display: none }
  .wide { overflow-x: auto } .wide > * { display: block; width: 900px } .cue { mask-image: linear-gradient(black, red) }
  @media (prefers-color-scheme: dark) { html { background: black; color: white } img { filter: invert(1) } }
</style>
<main id="main" class="bd-article-container">
  <h1 id="top">Sound</h1> <a href="#top">up</a> <a href="page.html#top">again</a> <a href="https://arxiv.org">away</a>
  <code>\\(x\\)</code> <span class="math"><mjx-container><mjx-math>x</mjx-math></mjx-container></span> It costs $5.
  <div class="wide cue"><mjx-container><mjx-math>x</mjx-math></mjx-container></div>
  <img src="figure.png" alt="A white square.">
  <div><svg viewBox="0 0 99 99" width="99"><circle r="9"/></svg>
    <input type="range" oninput="this.previousElementSibling.firstChild.setAttribute('r', value)"></div>
  <details><summary>Proof</summary>Clear. <details><summary>Of that</summary>Clear too.</details></details>
  <div class="toggle-hidden"><p class="admonition-title" style="display: block"
    onclick="this.parentElement.className = ''">Solution <button>open</button></p><p>Clear.</p></div>
  FAULT
</main>"""
FAULTS = {
    "<script>console.error('lost')</script>": "console: lost",
    "<script>throw new Error('lost')</script>": "page error: lost",
    "<script src='https://example.org/a.js'></script>": "external request: https://example.org/a.js",
    "<script src='none.js'></script>": "missing file: ",
    "<img src='none.png' alt='Nothing.'>": "no picture: ",
    "<a href='none.html'>there</a>": "broken link: ",
    "<a href='page.html#none'>there</a>": "broken anchor: ",
    r"so \(x\) is": r"not rendered: so \(x\) is",
    "so $x^2$ is": "not rendered: so $x^2$ is",
    "see {doc}`page`": "not rendered: see {doc}`page`",
    "<p>| a | b | |--|--| | 1 | 2 |</p>": "not rendered: ",
    "<span class='math'>x</span>": "not rendered: span near #main: x",
    "<mjx-container><mjx-merror>x</mjx-merror></mjx-container>": "MathJax cannot read: mjx-merror near #main: x",
    "<p style='width: 1300px'>far</p>": "the page is 1300 pixels wide, its window 1280",
    "<p style='width: 500px'>far</p>": "the page is 500 pixels wide, its window 390",
    "<p style='width: 600px'>far</p>": "too wide: p near #main: far",
    "<div style='overflow: hidden'><table style='width: 600px'><td>x</table></div>": "is cut by div",
    "<div style='overflow: hidden; height: 9px'><pre>x</pre></div>": "is cut in height by div",
    "<div style='overflow: auto; height: 9px'><pre>x</pre></div>": "scrolls in height inside div",
    "<div class='wide'><pre style='margin-left: -9px'>x</pre></div>": "begins left of where div scrolls",
    "<div class='wide'><mjx-math>x</mjx-math></div>": "scrolls without a cue: div",
    "<table><td><div class='math wide cue' style='width: 50px'><mjx-container style='flex: none'>"
    "<mjx-math>x</mjx-math></mjx-container></div></table>": "scrolls in its cell: div near #main: x",
    "<div class='math'><mjx-container class='wide cue' style='display: block; width: 50px'><mjx-math>x</mjx-math>"
    "</mjx-container></div>": "too long for a desk: mjx-container near #main: x",
    "<p data-more='right'>all of it</p>": "fades though nothing is hidden: p",
    "<p style='width: 9px'><span class='math'><mjx-container>x</mjx-container></span>, or</p>": "torn: span near #main",
    "<svg width='99'><circle r='9'/></svg>": "no viewBox: svg",
    "<svg viewBox='0 0 9 9' width='99' style='width: 40px'></svg>": "shrunk from 99 to 40 pixels: svg",
    "<svg viewBox='0 0 99 99' width='50'><text y='50' font-size='12'>x</text></svg>": "letters 6.1 pixels high: svg",
    "<img src='figure.png' alt='A square.' style='width: 300px'>": "letters 6.7 pixels high: img",
    "<img src='figure.png'>": "no description: ",
    "<img src='figure.png' alt='A square.' style='filter: none'>": "light card on the dark page: img",
    "<img src='figure.png' alt='A square.' style='filter: invert(0.9)'>": "box on the dark page: img",
    "<div><svg viewBox='0 0 9 9'></svg><input type='range'></div>": "moves nothing",
    "<p class='swref-rows'><svg viewBox='0 0 9 9'></svg><select><option>a<option>b</select></p>": "moves nothing",
    "<details onclick='event.preventDefault()'><summary>Shut</summary></details>": "stays closed: Shut",
    "<div class='toggle-hidden'><i class='admonition-title'>Shut</i></div>": "stays closed: Shut",
}


def planted(browser, serve, folder, fault):
    (folder / "page.html").write_text(SOUND.replace("FAULT", fault), encoding="utf-8")
    Image.new("L", (900, 99), "white").save(folder / "figure.png")
    ids.cache_clear()
    faults, _ = read(browser, serve(folder), "page.html", folder, folder)
    return faults


def test_a_sound_page_has_no_fault(browser, serve, tmp_path):
    assert planted(browser, serve, tmp_path, "") == []


@pytest.mark.parametrize("fault, told", FAULTS.items())
def test_a_planted_fault_is_told(fault, told, browser, serve, tmp_path):
    assert told in "\n".join(planted(browser, serve, tmp_path, fault))


@pytest.mark.skipif(not shutil.which("biome"), reason="biome, formatter and linter of scripts, is not installed")
def test_scripts_are_formatted_and_linted():
    scripts = ["tests/pages.js", "book/_static/book.js"]
    done = subprocess.run(["biome", "check", "--config-path=live", *scripts], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_missing_file_is_told_from_disk_too(browser, tmp_path):
    (tmp_path / "page.html").write_text("<img src='none.png'>", encoding="utf-8")
    with Visit(browser, tmp_path.as_uri(), "page.html", tmp_path) as visit:
        assert f"missing file: {tmp_path.as_uri()}/none.png" in visit.faults
