// Small conveniences on top of pages that work without them. Everything listens on the document: htmx may swap any part.

const root = document.documentElement;

function remembered() {
  try {
    return localStorage.getItem("costhub-theme") || "auto";
  } catch {
    return root.dataset.theme || "auto";
  }
}

function remember(theme) {
  try {
    localStorage.setItem("costhub-theme", theme);
  } catch {
    // Without storage the choice holds for this page only.
  }
}

function showTheme(theme) {
  if (theme === "auto") root.removeAttribute("data-theme");
  else root.dataset.theme = theme;
  for (const button of document.querySelectorAll("[data-set-theme]")) {
    button.setAttribute("aria-pressed", String(button.dataset.setTheme === theme));
  }
  document.dispatchEvent(new CustomEvent("costhub:theme"));
}

function say(text) {
  const region = document.getElementById("announcer");
  if (region) region.textContent = text;
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  if (!source) return;
  const label = button.querySelector("[data-copy-label]");
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
  } catch {
    getSelection().selectAllChildren(source);
    label.textContent = "Press Ctrl+C";
    return;
  }
  const before = label.dataset.copyLabel || label.textContent;
  label.dataset.copyLabel = before;
  label.textContent = "Copied";
  say("Copied to the clipboard");
  setTimeout(() => { label.textContent = before; }, 1600);
}

document.addEventListener("click", (event) => {
  const target = event.target;
  if (!(target instanceof Element)) return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(target)) menu.open = false;
  }
  const theme = target.closest("[data-set-theme]");
  if (theme) {
    remember(theme.dataset.setTheme);
    showTheme(theme.dataset.setTheme);
    return;
  }
  const copyButton = target.closest("[data-copy]");
  if (copyButton) return void copy(copyButton);
  const closer = target.closest("[data-dismiss]");
  if (closer) return closer.closest(".message").remove();
  const opener = target.closest("[data-dialog]");
  const dialog = opener && document.getElementById(opener.dataset.dialog);
  if (dialog && !(event.ctrlKey || event.metaKey || event.shiftKey)) {
    event.preventDefault();
    dialog.showModal();
  }
  const cancel = target.closest("[data-close-dialog]");
  if (cancel) {
    event.preventDefault();
    cancel.closest("dialog").close();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("change", (event) => {
  const form = event.target.closest?.("form[data-autosubmit]");
  if (form && event.target.type !== "date") form.requestSubmit();
});

// A filter left empty has no place in the address that people share.
document.addEventListener("formdata", (event) => {
  if (!event.target.matches("form[data-autosubmit]")) return;
  for (const [name, value] of [...event.formData.entries()]) {
    if (value === "") event.formData.delete(name);
  }
});

// A second click must not send again what shows its answer only once.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-once]") || event.defaultPrevented) return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  for (const button of form.querySelectorAll("button[type=submit]")) button.setAttribute("aria-disabled", "true");
});

// Coming back to a form with the browser's back button makes it usable again.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-once]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button[type=submit]")) button.removeAttribute("aria-disabled");
  }
});

for (const select of document.querySelectorAll("select[data-browser-zone]")) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if ([...select.options].some((option) => option.value === zone)) select.value = zone;
}

// What nobody looks at needs no news: parts that poll wait until the page is seen again.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.detail.elt.matches("[data-poll]")) event.preventDefault();
});

document.addEventListener("htmx:responseError", () => say("That part of the page could not be loaded."));
document.addEventListener("htmx:sendError", () => say("CostHub could not be reached."));

showTheme(remembered());
