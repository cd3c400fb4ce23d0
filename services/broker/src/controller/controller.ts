import type { ConfigDefinition, Settings } from '@naru/config';
import type { CoordinatorSession } from '@naru/coordinator-client';
import type { Logger, Metrics } from '@naru/observability';
import { type Clock, type Random, sleep, type Timer, type Timers } from '@naru/runtime';
import type { ClusterMembership } from '../cluster/membership.ts';
import type { MetadataDelta } from '../cluster/metadata-delta.ts';
import type { MetadataImage } from '../cluster/metadata-image.ts';
import type { MetadataPublisher } from '../cluster/metadata-publisher.ts';
import { noLeader } from '../cluster/partition-state.ts';
import type { ControllerSettings } from './controller-settings.ts';
import { campaign, type Office, resign } from './election.ts';
import type { PartitionWrite } from './planner.ts';
import { ControllerTerm } from './term.ts';

const campaignRetryMs = 100;

export interface ControllerOptions {
  readonly publisher: MetadataPublisher;
  readonly membership: ClusterMembership;
  /** Topic-level settings (`log/log-config.ts`): what a topic may override. */
  readonly topicConfig: ConfigDefinition<Settings>;
  /** Broker settings that may be changed while brokers run. */
  readonly dynamicConfig: ConfigDefinition<Settings>;
  readonly settings: ControllerSettings;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics?: Metrics | undefined;
}

/**
 * The controller's side of every broker: runs for the office whenever it is free, and while it holds it, a `ControllerTerm` does the work. Subscribe it to the
 * metadata after log and replication. Nothing here must be trusted to know that it still holds the office: every write carries the epoch's check.
 */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #abort = new AbortController();
  #term: ControllerTerm | undefined;
  #isCampaigning = false;
  #preferredTimer: Timer | undefined;

  constructor(options: ControllerOptions) {
    this.#options = options;
    if (options.metrics !== undefined) this.#registerMetrics(options.metrics);
  }

  start(): void {
    const { publisher, membership } = this.#options;
    publisher.subscribe((image, delta) => this.#onMetadata(image, delta));
    membership.subscribe({
      onJoined: () => this.#maybeCampaign(),
      onLost: () => this.#term?.end(new Error('the session is over')),
    });
    this.#maybeCampaign();
  }

  /** The term of office that this broker holds as far as it knows; undefined when another broker is the controller. */
  get term(): ControllerTerm | undefined {
    return this.#term;
  }

  /** Begins no more work and gives up the office. Waits for no answer: without one the office ends with the session, which goes next. */
  stop(): void {
    this.#abort.abort(new Error('the broker stops'));
    this.#preferredTimer?.cancel();
    const office = this.#term?.office;
    const { session } = this.#options.membership;
    this.#term?.end(new Error('the broker stops'));
    if (office === undefined || session === undefined) return;
    resign(session, office).catch((error: unknown) => this.#options.logger.warn({ error }, 'could not resign'));
  }

  #onMetadata(image: MetadataImage, delta: MetadataDelta): void {
    this.#term?.onMetadata(image, delta);
    if (delta.controllerChanged) this.#maybeCampaign();
  }

  /** The office is free, or seems ours without our knowing (an answer got lost). */
  #isOfficeFree(): boolean {
    const { publisher, membership } = this.#options;
    const { controllerId } = publisher.image;
    return membership.self !== undefined && (controllerId === noLeader || controllerId === membership.self.brokerId);
  }

  #maybeCampaign(): void {
    if (this.#term !== undefined || this.#isCampaigning || !this.#isOfficeFree()) return;
    this.#isCampaigning = true;
    this.#campaign()
      .catch((error: unknown) => {
        if (!this.#abort.signal.aborted) this.#options.logger.error({ error }, 'the race for the controller failed');
      })
      .finally(() => {
        this.#isCampaigning = false;
      });
  }

  async #campaign(): Promise<void> {
    const { membership, clock, timers, logger } = this.#options;
    while (!this.#abort.signal.aborted && this.#term === undefined && this.#isOfficeFree()) {
      const { self, session } = membership;
      if (self === undefined || session === undefined) return;
      const result = await campaign(session, self, clock.wallMs()).catch((error: unknown) => {
        logger.error({ error }, 'could not run for controller; trying again');
        return { kind: 'lost' } as const;
      });
      if (result.kind === 'elected') {
        await this.#takeOffice(session, result.office);
        return;
      }
      // The metadata normally shows the winner by then; else the office is still free and the race goes on.
      await sleep(timers, campaignRetryMs, this.#abort.signal);
    }
  }

  async #takeOffice(session: CoordinatorSession, office: Office): Promise<void> {
    const { publisher, membership, topicConfig, dynamicConfig, settings, random, logger } = this.#options;
    await publisher.waitFor(office.czxid);
    if (membership.session !== session || this.#abort.signal.aborted) return;
    if (publisher.image.controllerEpochVersion !== office.epochVersion) return;
    const term = new ControllerTerm({
      session,
      office,
      publisher,
      topicConfig,
      dynamicConfig,
      settings,
      random,
      logger: logger.child({ controllerEpoch: office.epoch }),
      onEnd: (reason) => this.#onTermEnd(term, session, office, reason),
      onElection: (write) => this.#countElection(write),
    });
    this.#term = term;
    logger.info({ controllerEpoch: office.epoch }, 'elected as controller');
    term.start();
    this.#schedulePreferred(term);
  }

  #onTermEnd(term: ControllerTerm, session: CoordinatorSession, office: Office, reason: Error): void {
    if (this.#term !== term) return;
    this.#term = undefined;
    this.#preferredTimer?.cancel();
    this.#options.logger.info({ controllerEpoch: office.epoch, reason: reason.message }, 'no longer the controller');
    if (this.#abort.signal.aborted || session.state === 'expired' || session.state === 'closed') return;
    // An office that we hold but cannot exercise would stay empty until our session ends.
    resign(session, office)
      .catch((error: unknown) => this.#options.logger.warn({ error }, 'could not resign'))
      .finally(() => this.#options.timers.after(campaignRetryMs, () => this.#maybeCampaign()));
  }

  #schedulePreferred(term: ControllerTerm): void {
    const { settings, timers } = this.#options;
    if (!settings.autoLeaderRebalance) return;
    this.#preferredTimer = timers.after(settings.leaderImbalanceCheckIntervalMs, () => {
      if (this.#term !== term) return;
      term.electPreferredLeaders();
      this.#schedulePreferred(term);
    });
  }

  #elections: { add(): void } | undefined;
  #uncleanElections: { add(): void } | undefined;

  #countElection(write: PartitionWrite): void {
    if (write.before?.leader === write.after.leader) return;
    this.#elections?.add();
    if (write.reason === 'elected-unclean') this.#uncleanElections?.add();
  }

  #registerMetrics(metrics: Metrics): void {
    const image = (): MetadataImage => this.#options.publisher.image;
    const ifActive = (count: () => number) => (): number => (this.#term === undefined ? 0 : count());
    const prefix = 'kafka_controller_kafkacontroller';
    metrics.gauge(
      `${prefix}_activecontrollercount`,
      'Whether this broker is the controller',
      ifActive(() => 1),
    );
    metrics.gauge(
      `${prefix}_globaltopiccount`,
      'Topics of the cluster',
      ifActive(() => image().topics.size),
    );
    metrics.gauge(
      `${prefix}_globalpartitioncount`,
      'Partitions of the cluster',
      ifActive(() => countPartitions(image(), () => true)),
    );
    metrics.gauge(
      `${prefix}_offlinepartitionscount`,
      'Partitions without a leader',
      ifActive(() => countPartitions(image(), (leader) => leader === noLeader)),
    );
    metrics.gauge(
      `${prefix}_preferredreplicaimbalancecount`,
      'Partitions that are not led by their first replica',
      ifActive(() => countPartitions(image(), (leader, preferred) => leader !== preferred)),
    );
    const stats = 'kafka_controller_controllerstats';
    this.#elections = metrics.counter(`${stats}_leaderelections_total`, 'Leader elections by this controller');
    this.#uncleanElections = metrics.counter(
      `${stats}_uncleanleaderelections_total`,
      'Elections that may have lost records',
    );
  }
}

function countPartitions(
  image: MetadataImage,
  isCounted: (leader: number, preferred: number | undefined) => boolean,
): number {
  let count = 0;
  for (const topic of image.topics.values()) {
    for (const { state, replicas } of topic.partitions)
      if (isCounted(state?.leader ?? noLeader, replicas[0])) count += 1;
  }
  return count;
}
