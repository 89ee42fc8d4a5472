/** The cluster has removed this node for good: it ends, and that is no fault. */
export class DepartedError extends Error {
  override readonly name = 'DepartedError';
  constructor(id: string, dataDir: string) {
    super(
      `${id} was removed from the cluster and stops; its data directory ${dataDir} is of no use any more, and may be deleted`,
    );
  }
}
