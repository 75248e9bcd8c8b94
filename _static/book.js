// What the theme leaves out for readers who come by keyboard or by a link.

// A table that scrolls sideways can be reached with the keyboard.
const tables = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});

// A link into a closed solution opens it.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const closed = target?.closest(".toggle-hidden");
  if (!closed) return;
  closed.querySelector(".toggle-button")?.click();
  target.scrollIntoView();
}

// Formulas make a table wider once they are typeset.
addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  for (const table of document.querySelectorAll("article table")) tables.observe(table);
});
addEventListener("load", openTarget);
addEventListener("hashchange", openTarget);

// The front page's movie plays by itself, but not for readers who want no motion.
addEventListener("load", () => {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches)
    for (const movie of document.querySelectorAll("video[autoplay]")) movie.pause();
});

// From disk a page may read no other page: the search lists titles only, and the packed site is not in itself.
if (location.protocol === "file:") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
  addEventListener("load", () => document.querySelector("[href$='book.zip']")?.closest("li").remove());
}
