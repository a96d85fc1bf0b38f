// Loaded before the first paint, so that the chosen theme never flashes. Storage may be forbidden: then the system decides.
(function () {
  var root = document.documentElement;
  root.classList.add("js");
  try {
    var chosen = localStorage.getItem("costhub-theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch (error) {
    root.removeAttribute("data-theme");
  }
})();
