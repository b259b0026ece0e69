export {
  errorCode,
  explaining,
  explainSystemError,
  makeFolder,
  nodeFs,
  type DurableFile,
  type DurableFs,
} from './durable-fs.js';
export {
  appendFileDurably,
  isTemporaryName,
  sha256,
  sha256File,
  syncFile,
  truncateFile,
  writeFileAtomic,
} from './files.js';
export { stringifyJson, type NonFinite } from './json.js';
export { formatJsonl, iterateJsonl, parseRow, readJsonl, type JsonlRow, type ReadJsonlOptions } from './jsonl.js';
export { crc32c, maskedCrc32c, tfRecord } from './tfrecord.js';
export { base64Of, float32Schema, int32Schema } from './arrays.js';
