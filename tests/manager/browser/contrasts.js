() => {
  // All colours as the browser paints them, whatever notation they come in.
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const painted = new Map();
  const paint = (color) => {
    if (!painted.has(color)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      painted.set(color, [...canvas.getImageData(0, 0, 1, 1).data].map((channel) => channel / 255));
    }
    return painted.get(color);
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((channel, i) => channel * a + below[i] * (1 - a));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const backgrounds = new Map();
  const backgroundOf = (element) => {
    if (element === null) return [1, 1, 1];
    if (!backgrounds.has(element)) {
      const own = paint(getComputedStyle(element).backgroundColor);
      backgrounds.set(element, over(own, backgroundOf(element.parentElement)));
    }
    return backgrounds.get(element);
  };
  const found = [];
  const texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (element.closest(":disabled, option") || !element.checkVisibility()) continue;
    const below = backgroundOf(element);
    const [one, other] = [luminance(over(paint(getComputedStyle(element).color), below)), luminance(below)];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    found.push({ text: texts.currentNode.data, contrast, background: other });
  }
  return found;
}
