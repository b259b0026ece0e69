export { EXIT_CODES, HoneError, messageOf, type ErrorKind } from './errors.js';
export { peakMemoryBytes } from './memory.js';
export { editDistance, nearest } from './nearest.js';
export { silentProgress, type Progress } from './progress.js';
export { philox4x32, RandomStream } from './random.js';
export { mean, studentT95, variance, Z95 } from './statistics.js';
