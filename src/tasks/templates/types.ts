/** A published prompt, byte for byte: data that fidelity to a paper needs. */
export interface PromptTemplate {
  name: string;
  /** The system that trained with it. */
  system: string;
  /** Repository, commit and file, or paper and section. */
  source: string;
  /** Of the text, as the place it was taken from says; undefined: that place names none. */
  licence: string | undefined;
  /** `raw`: the text as the model reads it, markup included; `chat`: a user turn for the model's chat template. */
  format: 'raw' | 'chat';
  /** {problem} stands for the problem. */
  text: string;
  /** Strings that end a response. */
  stop?: readonly string[];
  /** The text ends inside an opened thought: a response that does not close it has no answer. */
  thinking?: 'required';
}
