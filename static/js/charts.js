// Draws every [data-chart] from the JSON beside it, in the reader's theme, again after a theme change or an htmx swap.
// Plotly (1.5 MB) is fetched only when a page has a chart.

let plotly;

function loadPlotly(url) {
  plotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("the chart library did not load"));
    document.head.append(script);
  });
  return plotly;
}

// The browser knows light-dark() and oklch(), Plotly does not: paint one pixel and read it.
const pixel = Object.assign(document.createElement("canvas"), { width: 1, height: 1 })
  .getContext("2d", { willReadFrequently: true });

function colour(host, token) {
  const probe = document.createElement("span");
  probe.hidden = true;
  host.append(probe);
  probe.style.color = `var(${token})`;
  const computed = getComputedStyle(probe).color;
  probe.remove();
  pixel.clearRect(0, 0, 1, 1);
  pixel.fillStyle = computed;
  pixel.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pixel.getImageData(0, 0, 1, 1).data;
  return `rgb(${red}, ${green}, ${blue})`;
}

function themed(host, figure) {
  const paint = (token) => colour(host, token);
  const text = paint("--muted");
  const surface = paint("--surface");
  const family = getComputedStyle(host).fontFamily;
  const data = figure.data.map((trace) => {
    const of = paint(trace.meta?.token ? `--${trace.meta.token}` : `--series-${trace.meta?.slot ?? 0}`);
    const drawn = { ...trace };
    if (trace.line) drawn.line = { ...trace.line, color: of };
    if (trace.marker) {
      // No lines between the parts: beside one dear day they would cover the cheap ones whole.
      drawn.marker = { ...trace.marker, color: of, line: { width: 0 } };
      if (trace.marker.pattern?.shape) {
        drawn.marker.pattern = { ...trace.marker.pattern, bgcolor: of, fgcolor: surface, size: 5, solidity: 0.35 };
      }
    }
    return drawn;
  });
  const axis = { tickfont: { color: text }, gridcolor: paint("--line") };
  const narrow = host.clientWidth < 480;
  const layout = {
    ...figure.layout,
    font: { family, size: 12, color: text },
    xaxis: { ...figure.layout.xaxis, ...axis, linecolor: paint("--line-strong"), ...(narrow ? { nticks: 4 } : {}), showspikes: false },
    yaxis: { ...figure.layout.yaxis, ...axis },
    hoverlabel: { bgcolor: paint("--raised"), bordercolor: paint("--line-strong"), font: { family, size: 12, color: paint("--text") } },
  };
  return { data, layout };
}

async function draw(host) {
  const source = document.getElementById(host.dataset.chart);
  if (!source) return;
  const Plotly = await loadPlotly(host.dataset.plotly);
  if (!host.isConnected) return;
  const { data, layout } = themed(host, JSON.parse(source.textContent));
  const plot = host.querySelector("[data-plot]");
  await Plotly.react(plot, data, layout, { displayModeBar: false, responsive: true, showTips: false });
  host.classList.add("is-drawn");
}

function drawAll(scope) {
  const hosts = [...scope.querySelectorAll("[data-chart]")];
  if (scope instanceof Element && scope.matches("[data-chart]")) hosts.push(scope);
  for (const host of hosts) {
    draw(host).catch(() => host.querySelector(".skeleton")?.replaceWith("The chart could not be drawn; the table has the same figures."));
  }
}

// htmx announces the whole body once at the start; that is drawn below already.
document.addEventListener("htmx:load", (event) => {
  if (event.detail.elt !== document.body) drawAll(event.detail.elt);
});
document.addEventListener("htmx:beforeCleanupElement", (event) => {
  const plot = event.detail.elt;
  if (window.Plotly && plot.matches?.("[data-plot]")) window.Plotly.purge(plot);
});
document.addEventListener("costhub:theme", () => drawAll(document));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll(document));
drawAll(document);
