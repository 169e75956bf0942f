// Updates one tree of elements to match another. Unchanged parts keep their focus, scrolling and opened details.

const KEPT_ATTRIBUTES = new Set(["open"]);

export function morph(from, to) {
  if (from.nodeType === Node.TEXT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  if (from.nodeType !== Node.ELEMENT_NODE) return;
  updateAttributes(from, to);
  if (from === document.activeElement && from.matches("input, select, textarea")) return;
  updateChildren(from, to);
}

function updateAttributes(from, to) {
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !KEPT_ATTRIBUTES.has(name)) from.removeAttribute(name);
  }
  for (const { name, value } of [...to.attributes]) {
    if (from.getAttribute(name) !== value && !KEPT_ATTRIBUTES.has(name)) from.setAttribute(name, value);
  }
}

function updateChildren(from, to) {
  let current = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const existing = wanted.id ? [...from.children].find((child) => child.id === wanted.id) : undefined;
    if (existing) {
      if (existing !== current) from.insertBefore(existing, current);
      morph(existing, wanted);
      current = existing.nextSibling;
    } else if (current && isSameKind(current, wanted)) {
      const next = current.nextSibling;
      morph(current, wanted);
      current = next;
    } else {
      const added = document.importNode(wanted, true);
      if (added.classList?.contains("event")) added.classList.add("new");
      from.insertBefore(added, current);
    }
  }
  while (current) {
    const next = current.nextSibling;
    current.remove();
    current = next;
  }
}

function isSameKind(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && !one.id && !other.id;
}
