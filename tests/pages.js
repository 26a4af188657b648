// What a reader's eye would catch, asked of the page itself. Each function returns a list of sentences, empty if all
// is well; test_pages.py runs them in Chromium.

const SLACK = 1.5; // pixels that rounding may take
const READABLE = 8; // pixels, the least height of letters in a picture
const ICON = 32; // pixels, the greatest width of a picture that has no ground
const FIGURE_DPI = 144; // of PNG files, whose text is 10 points high; SVG files say their own size
const MATH = "mjx-container";
const PAGE = ".bd-article-container";
const DRAWING = "svg:not([aria-hidden], .tb-icon, svg svg)"; // no icons

const all = (selector) => [...document.querySelectorAll(`${PAGE} :is(${selector})`)];
const shown = (node) =>
  node.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && node.getBoundingClientRect().width > 0;
const squeeze = (text, most = 60) => text.replace(/\s+/g, " ").trim().slice(0, most);

/** A few words by which to find the element on its page. */
function name(node) {
  const source = node.getAttribute("alt") ?? (node.closest(MATH) ?? node).textContent;
  const near = node.closest("[id]:not(section[id$='-content'])")?.id ?? "";
  return `${node.localName} near #${near}: ${squeeze(source)}`;
}

/** Formulas and markup that reached the page as typed, and formulas that MathJax could not read. */
function unrendered() {
  const raw = /\\[()[\]]|\$[^$\n]+\$|\\begin\{|\{[a-z]+(:[a-z]+)?\}`|\|[-–—]+\|/;
  const walker = document.createTreeWalker(document.querySelector(PAGE), NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const { data, parentElement: parent } = walker.currentNode;
    const typed = !parent.closest(`pre, code, script, style, ${MATH}`) && raw.exec(data);
    if (typed) found.push(`not rendered: ${squeeze(data.slice(Math.max(typed.index - 20, 0)))}`);
  }
  for (const node of all(".math")) {
    if (!node.querySelector(MATH)) found.push(`not rendered: ${name(node)}`);
  }
  for (const node of all("mjx-merror, mjx-mtext[style*='red']")) found.push(`MathJax cannot read: ${name(node)}`);
  return found;
}

/** Why part of the element can never be seen, or null. A box that scrolls shows all of it, except what is left of it. */
function cut(node) {
  let { left, right, top, bottom } = node.getBoundingClientRect();
  for (let box = node.parentElement; box && !box.matches(PAGE); box = box.parentElement) {
    const { overflowX, overflowY } = getComputedStyle(box);
    const edge = box.getBoundingClientRect();
    if (overflowX === "visible" && overflowY === "visible") continue;
    if (overflowX === "auto" || overflowX === "scroll") {
      if (left + box.scrollLeft < edge.left - SLACK) return `begins left of where ${box.localName} scrolls`;
      [left, right] = [Math.max(left, edge.left), Math.min(right, edge.right)];
    } else if (left < edge.left - SLACK || right > edge.right + SLACK) return `is cut by ${box.localName}`;
    if (overflowY === "hidden" && (top < edge.top - SLACK || bottom > edge.bottom + SLACK))
      return `is cut in height by ${box.localName}`;
    if (overflowY === "auto" || overflowY === "scroll") {
      if (box.scrollHeight > box.clientHeight + 1) return `scrolls in height inside ${box.localName}`;
      [top, bottom] = [Math.max(top, edge.top), Math.min(bottom, edge.bottom)];
    }
  }
  return left < -SLACK || right > document.documentElement.clientWidth + SLACK ? "reaches out of the page" : null;
}

/** The box in which the element scrolls sideways while nothing says so, or null. */
function scrollsUnseen(node) {
  for (let box = node.parentElement; box && !box.matches(PAGE); box = box.parentElement) {
    const { overflowX, maskImage } = getComputedStyle(box);
    if (/auto|scroll/.test(overflowX) && box.scrollWidth > box.clientWidth + SLACK)
      return maskImage === "none" ? box : null;
  }
  return null;
}

/** Formulas, tables, pictures and code that are cut, and whatever makes the page wider than the window. */
function cropped() {
  const [found, unseen] = [[], new Set()];
  for (const node of all(`mjx-math, table, img, ${DRAWING}, canvas, pre`).filter(shown)) {
    const why = cut(node);
    if (why) found.push(`${name(node)} ${why}`);
    else unseen.add(scrollsUnseen(node));
  }
  unseen.delete(null);
  for (const box of unseen) found.push(`scrolls without a cue: ${name(box)}`);
  for (const node of all("td .math").filter(shown)) {
    if (getComputedStyle(node).overflowX !== "visible" && node.scrollWidth > node.clientWidth + SLACK)
      found.push(`scrolls in its cell: ${name(node)}`);
  }
  const idle = all("[data-more]").filter((box) => shown(box) && box.scrollWidth <= box.clientWidth);
  found.push(...idle.map((box) => `fades though nothing is hidden: ${name(box)}`));
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    found.push(`the page is ${root.scrollWidth} pixels wide, its window ${root.clientWidth}`);
    const wide = new Set(all("*").filter((node) => shown(node) && cut(node) === "reaches out of the page"));
    for (const node of wide) if (!wide.has(node.parentElement)) found.push(`too wide: ${name(node)}`);
  }
  return found;
}

/** Formulas on a line of their own that a desk has no room for. */
function spilled() {
  const long = all(`div.math > ${MATH}`).filter((node) => shown(node) && node.scrollWidth > node.clientWidth + SLACK);
  return long.map((node) => `too long for a desk: ${name(node)}`);
}

/** Formulas whose comma begins the next line. */
function torn() {
  const found = [];
  for (const node of all("span.math").filter(shown)) {
    if (!/^[.,;:!?)]/.test(node.nextSibling?.data ?? "")) continue;
    const comma = document.createRange();
    comma.setStart(node.nextSibling, 0);
    comma.setEnd(node.nextSibling, 1);
    if (comma.getBoundingClientRect().right < node.getBoundingClientRect().right) found.push(`torn: ${name(node)}`);
  }
  return found;
}

/** Pictures that lack words for those who cannot see them, are drawn too small to read, or lose a part when scaled. */
function pictures() {
  const found = [];
  for (const node of all("img").filter(shown)) {
    const points = node.src.endsWith(".svg") ? 96 / 72 : FIGURE_DPI / 72;
    const height = (10 * points * node.clientWidth) / node.naturalWidth;
    if (!node.alt || node.src.endsWith(node.alt.slice(-20))) found.push(`no description: ${node.src}`);
    if (node.naturalWidth === 0) found.push(`no picture: ${node.src}`);
    else if (height < READABLE) found.push(`letters ${height.toFixed(1)} pixels high: ${name(node)}`);
  }
  for (const node of all(DRAWING).filter(shown)) {
    if (!node.hasAttribute("viewBox")) found.push(`no viewBox: ${name(node)}`);
    const wanted = Number(node.getAttribute("width"));
    if (node.clientWidth < wanted / 2) found.push(`shrunk from ${wanted} to ${node.clientWidth} pixels: ${name(node)}`);
    const sizes = [...node.querySelectorAll("text")]
      .filter((text) => text.textContent.trim())
      .map(
        (text) =>
          Number.parseFloat(getComputedStyle(text).fontSize) * Math.hypot(text.getScreenCTM().a, text.getScreenCTM().b),
      );
    const least = Math.min(...sizes);
    if (least < READABLE) found.push(`letters ${least.toFixed(1)} pixels high: ${name(node)}`);
  }
  return found;
}

/** Corners of each picture, those on its left first, in pixels of the page: for a look at the colour they have on it. */
function corners() {
  return all("img")
    .filter((node) => shown(node) && node.clientWidth > ICON)
    .map((node) => {
      const { left, right, top, bottom } = node.getBoundingClientRect();
      const [x, y] = [window.scrollX, window.scrollY];
      const places = [left + 3, right - 3].flatMap((u) => [top + 3, bottom - 3].map((v) => [u + x, v + y]));
      return { name: name(node), places };
    });
}

/** What a slider shows, as text: the picture beside it, and the numbers that are read out when they change. */
function drawing(slider) {
  let box = slider.parentElement;
  while (box && !box.querySelector("svg, canvas")) box = box.parentElement;
  const parts = [...(box?.querySelectorAll("svg, canvas, [aria-live]") ?? [])];
  return parts.map((part) => (part.localName === "canvas" ? part.toDataURL() : part.innerHTML)).join("");
}

/** Addresses to which the page leads. */
const links = () => [...document.querySelectorAll("a[href]")].map((link) => link.href);

/** How bright the ground of the page is, as a share of white. */
function ground() {
  const colors = [document.body, document.documentElement].map((node) => getComputedStyle(node).backgroundColor);
  const [red, green, blue] = colors.find((color) => !color.startsWith("rgba")).match(/\d+/g);
  return (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
}

window.pages = { unrendered, cropped, spilled, torn, pictures, corners, ground, drawing, links };
