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

/// See it all at work: a shop of six services under accelerated load
///
/// Demand is forecast, failures are predicted, tiers assigned, and every change is negotiated with the services
/// and providers that it depends on; a minute of the shop passes in a quarter of a second. The HTTP API is
/// open meanwhile, so that you can load a plugin of your own and watch it decide. A party elsewhere has a second
/// to answer a message that its `http` endpoint is sent: the shop stands still meanwhile.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Demo {
    /// End after this time, with a summary; until then it runs on
    #[arg(long = "for", value_name = "TIME")]
    length: Option<Span>,
    /// Keep the store in this directory; a temporary one otherwise
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the API listens; only this machine can reach it
    #[arg(long, value_name = "ADDR", default_value_t = Settings::LISTEN)]
    listen: SocketAddr,
}

const EXAMPLES: &str = "\
Examples:
  haggle demo
  haggle demo --for 20s
  haggle demo --listen 127.0.0.1:4880 --data ./demo-data && haggle replay --data ./demo-data";

/// The shop's time between two passes.
const MINUTE: Span = Span::from_mins(1);

/// The time on the wall between two passes.
const TICK: Duration = Duration::from_millis(250);

/// How long a party elsewhere may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// How much of the past the plugins are given.
const PAST: Span = Span::from_mins(2 * 24 * 60);

/// How many passes are taken before anybody looks, so that there are models, agreements and replicas.
const WARM_UP: u64 = 150;

/// Where the demo keeps its store.
enum Folder {
    Kept(PathBuf),
    /// Deleted at the end.
    Temporary(tempfile::TempDir),
}

/// A host with its shop, on a clock of its own.
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

    /// Lets the shop's time pass and tells what happens, until it is over.
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
        // The shop's time runs ahead of ours: a shop that is opened again goes on where it was.
        let now = SystemClock.now().floor(MINUTE);
        let last = last_decision(data)?.map(|last| last + MINUTE);
        let clock = Arc::new(ManualClock::new(last.map_or(now, |last| last.max(now))));
        let replicas = Replicas::default();
        let told: Arc<ManualClock> = Arc::clone(&clock);
        // The shop stands still while a party elsewhere is waited for.
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

    /// Gives the host the loads of the past, an hour at a time.
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

    /// Lets a minute pass: facts come in, then the host decides.
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

/// So many minutes of the shop.
const fn minutes_long(count: u64) -> Span {
    Span::from_millis(MINUTE.as_millis().saturating_mul(count))
}

/// When the last decision was taken of which a directory tells.
fn last_decision(data: &Path) -> anyhow::Result<Option<Timestamp>> {
    let store = Store::open(data, &StoreOptions::default())
        .with_context(|| format!("the demo cannot be opened in {}", data.display()))?;
    let last = store.last_number::<Decisions>();
    let decisions = store.after::<Decisions>(last.saturating_sub(1), 1)?;
    Ok(decisions.first().map(|decision| decision.at))
}
