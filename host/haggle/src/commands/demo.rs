//! `haggle demo`

mod forecasts;
mod hints;
mod load;
mod narrator;
mod replicas;
mod shop;
mod tally;
mod vitals;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Args;
use haggle_actuate::Immediate;
use haggle_api::ApiOptions;
use haggle_model::{Span, Timestamp};
use haggle_runtime::{
    Clock, Host, HostOptions, ManualClock, Pass, SampleBatch, SystemClock, block_on,
};
use haggle_sandbox::Options;
use haggle_store::{Decisions, Store, StoreOptions};
use haggle_transport::{HttpOptions, HttpTransport, Transports};

use self::{narrator::Narrator, replicas::Replicas, shop::Shop, tally::Tally};
use crate::{
    commands::compile_worker,
    hosting::{self, Hosting},
    output,
    progress::Progress,
    settings::Settings,
};

/// Run a demo: a shop of six services under accelerated load
///
/// The host forecasts demand, predicts failures, assigns tiers, and negotiates every change with the services
/// and providers that it depends on. A minute of the shop passes in a quarter of a second. The HTTP API is
/// open meanwhile, so that you can load your own plugin and watch its decisions. A remote party has one
/// second to answer a message sent to its `http` endpoint; the shop's time stops meanwhile.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Demo {
    /// End after this time, with a summary; without it, the demo runs until interrupted
    #[arg(long = "for", value_name = "TIME")]
    length: Option<Span>,
    /// Keep the store in this directory; default: a temporary directory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address on which the API listens; it must be a loopback address
    #[arg(long, value_name = "ADDR", default_value_t = Settings::LISTEN)]
    listen: SocketAddr,
}

const EXAMPLES: &str = "\
Examples:
  haggle demo
  haggle demo --for 20s
  haggle demo --listen 127.0.0.1:4880 --data ./demo-data && haggle replay --data ./demo-data";

/// The simulated time between two passes.
const MINUTE: Span = Span::from_mins(1);

/// The real time between two passes.
const TICK: Duration = Duration::from_millis(250);

/// Time limit for a remote party's answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Length of the history that the plugins get.
const PAST: Span = Span::from_mins(2 * 24 * 60);

/// Number of passes before the narration starts, so that there are models, agreements and replicas.
const WARM_UP: u64 = 150;

/// The location of the demo's store.
enum Folder {
    Kept(PathBuf),
    /// Deleted at the end.
    Temporary(tempfile::TempDir),
}

/// A host with its shop, on a simulated clock.
struct World {
    host: Arc<Host>,
    clock: Arc<ManualClock>,
    shop: Shop,
    replicas: Replicas,
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let listener = hosting::listen(self.listen)?;
        let address = listener.local_addr().context("the address is not known")?;
        let folder = Folder::new(self.data.as_deref())?;
        let mut world = World::open(folder.path(), address)?;
        {
            let progress = Progress::bar(WARM_UP, "opening the shop");
            for _ in 0..WARM_UP {
                world.pass()?;
                progress.step();
            }
        }
        let hosting =
            Hosting::start(listener, Arc::clone(&world.host).into(), ApiOptions::default())?;
        let example = hints::write_example(folder.path())?;
        output::line(hints::text(&world.host, address, &example)?)?;
        let ended = self.narrate(&mut world, &hosting);
        hosting.close()?;
        output::line(ended?)?;
        if let Folder::Kept(path) = &folder {
            let path = path.display();
            output::line(format_args!("Repeat every decision: haggle replay --data {path}"))?;
        }
        Ok(())
    }

    /// Advances the shop's time and narrates events until the demo ends.
    fn narrate(&self, world: &mut World, hosting: &Hosting) -> anyhow::Result<Tally> {
        let mut narrator = Narrator::new(world.host.events());
        let mut tally = Tally::new(&world.host);
        let started = Instant::now();
        let mut due = started;
        loop {
            let pass = world.pass()?;
            tally.count(&pass, &world.host);
            for line in narrator.lines(&world.host, world.clock.now()) {
                output::line(line)?;
            }
            due += TICK;
            if hosting.wait(due.saturating_duration_since(Instant::now())) {
                break;
            }
            let length = self.length.map(Duration::from);
            if length.is_some_and(|length| started.elapsed() >= length) {
                break;
            }
        }
        tally.end(&world.host);
        Ok(tally)
    }
}

impl World {
    fn open(data: &Path, address: SocketAddr) -> anyhow::Result<Self> {
        // The shop's time runs ahead of real time: a reopened shop continues where it stopped.
        let now = SystemClock.now().floor(MINUTE);
        let last = last_decision(data)?.map(|last| last + MINUTE);
        let clock = Arc::new(ManualClock::new(last.map_or(now, |last| last.max(now))));
        let replicas = Replicas::default();
        let told: Arc<ManualClock> = Arc::clone(&clock);
        // The shop's time stops while a remote party answers.
        let usual = Settings::default().http_options(address);
        let addresses = usual.addresses.clone();
        let http = Arc::new(HttpTransport::new(HttpOptions { patience: PATIENCE, ..usual }));
        let host = Host::open(HostOptions {
            data: Some(data.to_owned()),
            clock: told,
            driver: Arc::new(Immediate::new(replicas.clone())),
            transport: Transports::new().with("http", http),
            addresses,
            interval: MINUTE,
            sandbox: Options { compiler: compile_worker::compiler()?, ..Options::default() },
            ..HostOptions::default()
        })
        .with_context(|| format!("the demo cannot be opened in {}", data.display()))?;
        let shop = Shop::open(&host, clock.now() + minutes_long(WARM_UP))?;
        let world = Self { host, clock, shop, replicas };
        world.fill_past()?;
        Ok(world)
    }

    /// Gives the host the past loads, one hour at a time.
    fn fill_past(&self) -> anyhow::Result<()> {
        let now = self.clock.now();
        let minutes: Vec<u64> = (1..=PAST.steps(MINUTE)).rev().collect();
        for hour in minutes.chunks(60) {
            let times = hour.iter().map(|ago| now.before(minutes_long(*ago)));
            let samples = times.flat_map(|at| self.shop.loads(at)).collect();
            block_on(self.host.push_samples(SampleBatch { samples, failures: Vec::new() }))?;
        }
        Ok(())
    }

    /// Advances by one minute: sends the facts, then runs a reconcile pass.
    fn pass(&mut self) -> anyhow::Result<Pass> {
        let at = self.clock.now();
        let (samples, failures) = self.shop.minute(at);
        for failure in &failures {
            self.replicas.fail(at, &failure.service);
        }
        self.clock.advance(MINUTE);
        block_on(self.host.push_samples(SampleBatch { samples, failures }))?;
        Ok(self.host.pass()?)
    }
}

impl Folder {
    fn new(wanted: Option<&Path>) -> anyhow::Result<Self> {
        match wanted {
            Some(path) => Ok(Self::Kept(path.to_owned())),
            None => tempfile::Builder::new()
                .prefix("haggle-demo-")
                .tempdir()
                .map(Self::Temporary)
                .context("no temporary folder can be made: name one with --data"),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

/// The given number of shop minutes.
const fn minutes_long(count: u64) -> Span {
    Span::from_millis(MINUTE.as_millis().saturating_mul(count))
}

/// The time of the last decision in a data directory's store.
fn last_decision(data: &Path) -> anyhow::Result<Option<Timestamp>> {
    let store = Store::open(data, &StoreOptions::default())
        .with_context(|| format!("the demo cannot be opened in {}", data.display()))?;
    let last = store.last_number::<Decisions>();
    let decisions = store.after::<Decisions>(last.saturating_sub(1), 1)?;
    Ok(decisions.first().map(|decision| decision.at))
}
