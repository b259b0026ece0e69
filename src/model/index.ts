export * from './types.js';
export {
  llamaTensorShapes,
  parameterCount,
  parseModelConfig,
  toHfConfig,
  type Llama3RopeScaling,
  type ModelConfig,
} from './config.js';
export {
  criticTensorShapes,
  parseCriticConfig,
  readCriticTensors,
  toCriticConfig,
  VALUE_BIAS,
  VALUE_HEAD,
} from './critic-config.js';
export { FAMILIES, SUPPORTED_FAMILIES, type Architecture, type Family } from './families.js';
export {
  openSafetensors,
  writeSafetensors,
  type SafetensorsFile,
  type TensorData,
  type TensorInfo,
  type TensorSource,
} from './safetensors.js';
export { readTensors } from './tensors.js';
export { loadTokenizer } from './tokenizer.js';
export { createCharTokenizer, writeCharTokenizer } from './char-tokenizer.js';

export { createChatTemplate, loadChatTemplate } from './chat-template.js';
export { encodeChat, encodeChatForTraining, encodePlain, type ChatModel, type TrainingChat } from './chat-encoding.js';
export { checkTensors, copyTokenizerFiles, exportModel, loadModelConfig, loadModelFolder } from './folder.js';
export { importGguf } from './gguf/import.js';
export { exportGguf, type GgufExportType } from './gguf/export.js';
export { importFromHub, type HubOptions } from './hub.js';
export { importModel } from './import.js';
export { modelInfo, type ModelSummary } from './info.js';
export {
  checkAdapterFits,
  mergeAdapter,
  mergeLoraInto,
  readTrainedAdapter,
  type LoraAdapter,
} from './merge-adapter.js';
export { weightsHash } from './weights-hash.js';
export {
  loraScale,
  readPeftAdapter,
  writePeftAdapter,
  type LoraPair,
  type PeftAdapter,
  type PeftAdapterSource,
} from './peft.js';
