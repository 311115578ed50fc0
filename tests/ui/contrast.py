"""Can every text be read? Its colour beside what is painted behind it, in HTML and in SVG."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

__all__ = ["poor_texts"]

#: WCAG 2.2, success criteria 1.4.3 (text) and 1.4.11 (signs)
TEXT, SIGN = 4.5, 3.0

_MEASURE = """(root, [least, leastSign]) => {
    const parse = text => { const n = (text.match(/[\\d.]+(e-?\\d+)?/g) || []).map(Number);
        if (text.startsWith('color(srgb')) return [n[0] * 255, n[1] * 255, n[2] * 255, n[3] ?? 1];
        return text === 'none' || text === 'transparent' ? [0, 0, 0, 0] : [n[0], n[1], n[2], n[3] ?? 1]; };
    const over = (top, under) => [0, 1, 2].map(k => top[k] * top[3] + under[k] * (1 - top[3])).concat([1]);
    const light = c => [0.2126, 0.7152, 0.0722].reduce((sum, part, k) => {
        const v = c[k] / 255; return sum + part * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); }, 0);
    const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
    const faint = el => { let o = 1; for (; el; el = el.parentElement) o *= Number(getComputedStyle(el).opacity); return o; };
    const htmlGround = el => { const layers = [];
        for (; el && !(layers.length && layers.at(-1)[3] === 1); el = el.parentElement) {
            const c = parse(getComputedStyle(el).backgroundColor); if (c[3]) layers.push(c); }
        return layers.reduceRight((under, top) => over(top, under), [255, 255, 255, 1]); };
    const ground = el => {
        const svg = el.closest('svg');
        if (!svg) return htmlGround(el);
        let paint = htmlGround(svg.parentElement || svg);
        const own = parse(getComputedStyle(svg).backgroundColor);
        if (own[3]) paint = over(own, paint);
        const box = el.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
        for (const shape of svg.querySelectorAll('rect, circle, ellipse, polygon, path, text')) {
            if (shape === el || shape.contains(el)) break;
            if (shape.tagName === 'text' || !shape.checkVisibility()) continue;
            const b = shape.getBoundingClientRect(), style = getComputedStyle(shape), c = parse(style.fill);
            if (!c[3] || x < b.left || x > b.right || y < b.top || y > b.bottom) continue;
            paint = over([c[0], c[1], c[2], c[3] * Number(style.fillOpacity)], paint);
        }
        return paint;
    };
    const poor = [];
    let seen = 0;
    const judge = (el, colour, what, limit) => {
        const behind = ground(el), found = ratio(over([...colour.slice(0, 3), colour[3] * faint(el)], behind), behind);
        seen += 1;
        if (found < limit) poor.push(`${found.toFixed(2)} ${el.getAttribute('class') || el.tagName} ${what}`);
    };
    const hasText = el => [...el.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    for (const el of [root, ...root.querySelectorAll('*')]) {
        const style = getComputedStyle(el);
        if (!el.checkVisibility({visibilityProperty: true}) || el.closest(':disabled, style, title, .pf-spoken')) continue;
        if (el instanceof SVGElement) {
            if (['text', 'tspan'].includes(el.tagName) && hasText(el)) judge(el, parse(style.fill), el.textContent.slice(0, 24), least);
            if (el.classList.contains('pf-glyph')) judge(el, parse(style.stroke), 'sign', leastSign);
        } else if (['INPUT', 'TEXTAREA', 'SELECT'].includes(el.tagName)) {
            if (['range', 'checkbox'].includes(el.type)) continue;      // no text in them
            judge(el, parse(style.color), el.value || 'value', least);
            if (el.placeholder) judge(el, parse(getComputedStyle(el, '::placeholder').color), el.placeholder, least);
        } else if (hasText(el)) judge(el, parse(style.color), el.textContent.slice(0, 24), least);
    }
    return seen ? poor : ['nothing was seen'];
}"""


def poor_texts(root: Locator | Page) -> list[str]:
    """Texts below 4.5 to 1, and signs below 3 to 1, each with its ratio; disabled controls are exempt."""
    found = root.locator("body") if isinstance(root, Page) else root
    return list(found.evaluate(_MEASURE, [TEXT, SIGN]))
