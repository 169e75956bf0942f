// Makes one tree of elements like another, and leaves alone what is alike: focus, scrolling, and what the reader opened.

const KEPT = new Set(["open"]);

export function morph(from, to) {
  if (from.nodeType === Node.TEXT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  if (from.nodeType !== Node.ELEMENT_NODE) return;
  likeAttributes(from, to);
  if (from === document.activeElement && from.matches("input, select, textarea")) return;
  likeChildren(from, to);
}

function likeAttributes(from, to) {
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !KEPT.has(name)) from.removeAttribute(name);
  }
  for (const { name, value } of [...to.attributes]) {
    if (from.getAttribute(name) !== value && !KEPT.has(name)) from.setAttribute(name, value);
  }
}

function likeChildren(from, to) {
  let place = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const known = wanted.id ? [...from.children].find((child) => child.id === wanted.id) : undefined;
    if (known) {
      if (known !== place) from.insertBefore(known, place);
      morph(known, wanted);
      place = known.nextSibling;
    } else if (place && sameKind(place, wanted)) {
      const next = place.nextSibling;
      morph(place, wanted);
      place = next;
    } else {
      const added = document.importNode(wanted, true);
      if (added.classList?.contains("event")) added.classList.add("new");
      from.insertBefore(added, place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function sameKind(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && !one.id && !other.id;
}
