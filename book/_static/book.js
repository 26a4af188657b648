// Marks what scrolls sideways with the sides on which there is more, for book.css to show.
document.addEventListener("DOMContentLoaded", () => {
  const boxes = () =>
    document.querySelectorAll(
      ".bd-content :is(.math, .math mjx-container, a.image-reference, .pst-scrollable-table-container, pre)",
    );
  const mark = (box) => {
    const left = box.scrollLeft > 1;
    const right = box.scrollLeft + box.clientWidth < box.scrollWidth - 1;
    const more = left && right ? "both" : left ? "left" : right ? "right" : "";
    if (more) box.dataset.more = more;
    else delete box.dataset.more;
  };
  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) mark(target);
  });
  const watch = () => {
    for (const box of boxes()) sizes.observe(box);
  };
  watch();
  window.MathJax?.startup?.promise?.then(watch);
  // A font that arrives late changes what is inside a formula, and not its box.
  document.fonts.addEventListener("loadingdone", () => {
    for (const box of boxes()) mark(box);
  });
  document.addEventListener("scroll", ({ target }) => target.dataset && mark(target), { capture: true, passive: true });
});
