/**
 * Seeds that once failed, each with what it showed. They stay: a run of a fixed seed is the cheapest memory of a bug. When the drawing of
 * parameters changes, a seed becomes another run; then the mutants (`mutants/`) still hold the rule.
 */
export const seedsThatFailed: readonly { readonly seed: number; readonly showed: string }[] = [
  {
    seed: 48,
    showed: 'a leader epoch that found no room on the disk ended the process as a bug, not as a failure of storage',
  },
  { seed: 141, showed: 'a cut that met a flipped bit below it shortened the log of an ISR member without a word (R8)' },
  {
    seed: 145,
    showed: 'a replica whose log was put aside counted as whole after a bounce, and could be elected empty (R2)',
  },
  { seed: 162, showed: 'the same, by way of the ELR (R2)' },
  {
    seed: 218,
    showed: 'batches behind one that had expired in flight were told the offsets of their predecessors (C2)',
  },
  { seed: 2005, showed: 'a full disk, met while a damaged log was put aside, ended the process as a bug (row 56)' },
  {
    seed: 3020,
    showed: 'what a failed sync left in the page cache counted as durable after a restart (row 56, ATC 20)',
  },
  { seed: 4005, showed: 'a flipped bit in the leader epoch of a batch, which no CRC covers, reached consumers (C9)' },
  {
    seed: 4,
    showed:
      'a consumer that was told at the same moment that it is out of the group and in it tried to sync for ever (G1)',
  },
  {
    seed: 359312932,
    showed: 'a cut in the middle of a run left a hole in the tail of the log, and a consumer was led past it (C7)',
  },
  { seed: 5512, showed: 'a replica that a move has just taken away need not have the last records (L7 asked for it)' },
  {
    seed: 30011,
    showed:
      'a member that was out and back in the same generation committed what it had asked for before, and then went back behind it (G4)',
  },
  { seed: 6041, showed: 'a run must not take a coordinator away while another has refused its store (liveness)' },
  {
    seed: 548494795,
    showed: 'an ISR change of a topic that was deleted was written to the one that was created after it (R5, row 18)',
  },
  {
    seed: 21156647,
    showed: 'who led a topic that was deleted was judged by the replicas of the next of its name (R10 did)',
  },
  {
    seed: 238247665,
    showed: 'who refuses its store on the way back into the quorum was waited for without end (liveness)',
  },
  {
    seed: 238247682,
    showed: 'a log that the run itself had cut was asked for its committed end when its broker was elected (R1 did)',
  },
  {
    seed: 8019,
    showed:
      'what a member asked to commit before it gave a partition up was written when it had it again, over what another had committed (G4, KIP-848)',
  },
  {
    seed: 910000320,
    showed: 'a leader that stood still while it was removed was asked whether it is back in the quorum (liveness)',
  },
  {
    seed: 306,
    showed: 'a leader that stood still before it led was asked for what its successor has committed since (R1 did)',
  },
  {
    seed: 63251,
    showed:
      'a static member that its own earlier JoinGroup had fenced, as in Kafka, was never started again (liveness asked for it)',
  },
  {
    seed: 64007,
    showed:
      'an ISR change that was under way when min.insync.replicas was lowered leaves an ELR for a moment, beside which nothing is acknowledged (R9 asked for more)',
  },
  {
    seed: 98585686,
    showed:
      'a classic member of a migrated group committed in its epoch what it had given up half a rebalance before (G4 did)',
  },
  { seed: 1051, showed: 'code of a process that was killed within a write must not fail the run' },
];
