import type { OperationOptions } from '../../system/progress.ts';
import type { Attachment } from './network-state.ts';

/** What makes bridges, interfaces and firewall rules. Both are steps of the same plan, the {@link Attachment}. */
export interface NetworkBackEnd {
  readonly name: Attachment['backEnd'];
  /** Why it was chosen. */
  readonly reason: string;
  /** Whether containers find each other by a name server; by their hosts files otherwise. */
  readonly hasNameServer: boolean;
  /** Does all that the attachment says. What it has done when it fails is undone by {@link detach}. */
  attach(attachment: Attachment, namespace: string, options: OperationOptions): Promise<void>;
  /**
   * Undoes what is there of it; in `namespace` each of the interfaces exists. What it cannot undo, whoever calls it
   * removes by its own means.
   */
  detach(attachment: Attachment, namespace: string): Promise<void>;
}
