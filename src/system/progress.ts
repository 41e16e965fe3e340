/** One thing that happened on the way of a long operation; a reporter shows it. */
export interface ProgressEvent {
  /** What is being done, as a short phrase: "unpacking layer 2 of 5". */
  step: string;
  /** How much of it is done and of how much, in the same unit, where that is known. */
  done?: number;
  total?: number;
}

/** Takes progress events; must not throw. */
export type Progress = (event: ProgressEvent) => void;

/** What the long operations of every room take. */
export interface OperationOptions {
  progress?: Progress | undefined;
  /** Ends the operation, which cleans up and rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}
