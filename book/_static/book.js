// Marks what scrolls sideways with the sides on which there is more, for book.css to show.
document.addEventListener("DOMContentLoaded", () => {
  const mark = (box) => {
    const left = box.scrollLeft > 1;
    const right = box.scrollLeft + box.clientWidth < box.scrollWidth - 1;
    const more = left && right ? "both" : left ? "left" : right ? "right" : "";
    if (more) box.dataset.more = more;
    else delete box.dataset.more;
  };
  const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => mark(target)));
  const boxes = ".math, .math mjx-container, a.image-reference, .pst-scrollable-table-container, pre";
  const watch = () => {
    for (const box of document.querySelectorAll(`.bd-content :is(${boxes})`)) {
      sizes.observe(box);
      box.addEventListener("scroll", () => mark(box), { passive: true });
    }
  };
  watch();
  window.MathJax?.startup?.promise?.then(watch);
});
