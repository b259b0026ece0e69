export { readChatExamples } from './chat-data.js';
export { parseSftConfig, sftConfigSchema, type SftConfig } from './config.js';
export {
  fit,
  listSource,
  promptResponseExample,
  tokenMeanDatums,
  type SftExample,
  type SftSource,
} from './examples.js';
export type { Validation } from '../engine/training-run.js';
export { crossEntropy } from './loss.js';
export { evaluationLoss, trainSft, type TrainSftOptions, type TrainSftResult } from './trainer.js';
