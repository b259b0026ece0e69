export { startServer, type RunningServer, type ServeOptions } from './server.js';
export type { RequestLimits } from './body.js';
