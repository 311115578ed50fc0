// @ts-check
// What the parts of the launcher's page share: the form as the kernel holds it, and the way back to the kernel.

import { hasKernel } from "../base/js/model.js";

/** A key of the store, as the form asks for it.
 *  @typedef {{ key: string, needed: boolean, default: string, node: string, own: boolean, text: string, kind: string, secret: boolean,
 *    problem: string }} Field */

/** @typedef {{
 *   flows: [string, number][], flow: string, found: number, changed: string[], agents: number, at_once: number, most: number, name: string,
 *   mode: string, fields: Field[], rows: [string, string, string][][], variables: [string, string][], variable: string, key: string,
 *   items: string, limits: Record<string, string>, on_error: string,
 *   files?: Record<string, string>, durability?: string, watch: string[], breaks: string[], nodes: string[], runs: number,
 *   line: string, problems: Record<string, string>,
 * }} Form */

/** @typedef {{
 *   id: string, root: HTMLElement, form(): Form, icons(): Record<string, string>, send(message: object): void,
 *   set(name: string, value: any): void, isGone(): boolean,
 * }} Page */

/** @param {import("../base/js/model.js").Model} model @param {{ id: string, root: HTMLElement, send: (message: object) => void }} parts
 *  @returns {Page} */
export function pageOf(model, { id, root, send }) {
  return {
    id, root, send,
    form: () => model.get("form"),
    icons: () => model.get("icons"),
    set: (name, value) => send({ do: "set", name, value }),
    isGone: () => !hasKernel(model),
  };
}
