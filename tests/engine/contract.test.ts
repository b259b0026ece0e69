import { localContract } from './local-contract.js';

localContract(false);
