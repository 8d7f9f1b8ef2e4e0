// The types that the page's modules share.

/** What a server function answers: its status, and whatever the view that asks for it knows of. */
type Answer = { status: string; message?: string; retry?: number } & Record<string, any>;
type Call = (payload: object) => Promise<Answer | undefined>;
type Tell = (message: string, bad?: boolean) => void;
/** A call: what was asked, what `show` is handed on with the answer, and since when it waits. */
type Job = { payload: Record<string, any>; extra?: any; since: number };

/** What every view of a tab gets. */
type Tab = import('./tab.js').Tab;
/** How a model came to be: the commands, a line each, and addresses of papers by their names. */
type Sources = { command: string; papers: Record<string, string> };
type Model = { title: string; sources: Sources } & Record<string, any>;

type Picture = HTMLImageElement | HTMLCanvasElement;
/** Of a latent plane. */
type Point = [number, number] | number[];
/** Where test images lie on it, and their classes. */
type Points = { x: number[]; y: number[]; labels: number[]; class_names: string[]; total: number };
/** From a latent to the bytes of its image. */
type Decode = (z: number[]) => Uint8ClampedArray;
