//! Reads a running build's log to its end, answers its questions, and stops it when told to.

use super::docker::{Engine, Frame, State};
use super::plan::Part;
use super::session::{Answer, Begin, End, Running, Session};
use super::steps::Steps;
use super::{Record, Run};
use futures::StreamExt as _;
use std::io;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How long Docker may be away, as it is while it is upgraded.
pub(super) const DOCKER_AWAY_MAX: Duration = Duration::from_secs(60);
/// Between questions to Docker.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// Pieces of log taken together.
const FRAMES_MAX: usize = 256;
/// For a word to Docker that should take milliseconds.
pub(super) const WORD_MAX: Duration = Duration::from_secs(5);
/// How long a killed container's output may still come.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// How reading a log ended.
enum Read {
    Ended,
    /// Because of Docker, or of this host.
    Broken(String),
    /// A killed container's log goes on and on.
    Stuck,
}

/// A build whose container has ended, as far as anybody knows.
pub(super) struct Watched<'r> {
    pub session: Session<'r>,
    /// What Docker said last; asked only when the build did not end well.
    pub state: Option<State>,
    /// Docker could not be asked.
    pub trouble: Option<String>,
}

impl<'r> Run<'r> {
    pub(super) async fn watch<'s>(&'s self, engine: &Engine, record: &'s Record) -> Watched<'s>
    where
        'r: 's,
    {
        let mut follow = true;
        loop {
            let mut session = self.session(record);
            let read = self.read(engine, record, &mut session, follow).await;
            // A log that broke off may say so before it is over: the container is asked then.
            let ended = matches!(read, Read::Ended);
            if ended && let Some(End::Finished { succeeded: true, .. }) = session.end() {
                session.finish().await;
                return Watched { session, state: None, trouble: None };
            }
            let state = self.ask(engine, ended || session.end().is_some()).await;
            // What a log that broke off still held back is not said: it comes again.
            let again = match (&read, &state) {
                (Read::Stuck, _) => None,
                (_, _) if !follow || ended && session.end().is_some() => None,
                (_, Ok(Some(State::Running))) => Some(true),
                // A followed log may lose its last lines.
                (_, Ok(Some(State::Ended { .. }))) => Some(false),
                (_, Ok(Some(State::Created) | None) | Err(_)) => None,
            };
            if let Some(running) = again {
                follow = running;
                sleep(PAUSE).await;
                continue;
            }
            session.finish().await;
            let (state, trouble) = match (state, read) {
                (Err(trouble), _) => (None, Some(trouble)),
                (Ok(state), Read::Ended) => (state, None),
                (Ok(state), Read::Broken(why)) => (state, Some(why)),
                (Ok(state), Read::Stuck) => {
                    (state, Some("Docker did not end the container".to_owned()))
                }
            };
            return Watched { session, state, trouble };
        }
    }

    fn session<'s>(&'s self, record: &'s Record) -> Session<'s> {
        Session::new(Begin {
            job: self.job,
            masks: &self.masks,
            nonce: &record.nonce,
            log: self.ctx.log.clone(),
            log_base: record.log_base,
            log_bytes_max: self.ctx.settings.build.log_bytes_max,
            steps: Steps::new(self.ctx.progress.clone(), record.steps.clone()),
            at: record.clock.at,
        })
    }

    /// Reads until the log ends.
    async fn read(
        &self,
        engine: &Engine,
        record: &Record,
        session: &mut Session<'_>,
        follow: bool,
    ) -> Read {
        let (running, seen) = watch::channel(Running::default());
        let stop = self.stop_when_told(engine, seen);
        tokio::pin!(stop);
        // What has gathered is taken together: a flood of lines is not one write each.
        let logs = engine.logs(&self.container, follow).ready_chunks(FRAMES_MAX);
        tokio::pin!(logs);
        let mut drained_by = None;
        loop {
            let drained = drained_by.unwrap_or_else(Instant::now);
            tokio::select! {
                frames = logs.next() => {
                    let Some(frames) = frames else { return Read::Ended };
                    let broken = self.take(record, session, frames);
                    session.write().await;
                    for answer in session.take_answers() {
                        if let Err(error) = self.answer(answer).await {
                            return Read::Broken(format!("answering the build: {error}"));
                        }
                    }
                    running.send_replace(session.running());
                    if let Some(why) = broken {
                        return Read::Broken(why);
                    }
                }
                () = &mut stop, if drained_by.is_none() => {
                    drained_by = Some(Instant::now() + DRAIN_MAX);
                }
                () = sleep_until(drained), if drained_by.is_some() => {
                    return Read::Stuck;
                }
            }
        }
    }

    /// Returns why the log broke off, if it did.
    fn take(
        &self,
        record: &Record,
        session: &mut Session<'_>,
        frames: Vec<Result<Frame, bollard::errors::Error>>,
    ) -> Option<String> {
        for frame in frames {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => return Some(format!("reading the build's log: {error}")),
            };
            let at = frame.at.and_then(|at| record.clock.read(&at));
            session.push(&frame.bytes, at.unwrap_or_else(|| self.ctx.since.elapsed()));
        }
        None
    }

    /// The driver waits for a file of that name.
    async fn answer(&self, answer: Answer) -> io::Result<()> {
        let answers = self.control().join("answers");
        let word = if answer.retry { "retry\n" } else { "give-up\n" };
        let part = answers.join(".part");
        tokio::fs::write(&part, word).await?;
        let name = format!("{}-{}", answer.phase, answer.attempt);
        tokio::fs::rename(part, answers.join(name)).await
    }

    /// TERM to what runs, then what cleans up may run, then KILL. Ends when the container is told
    /// to die; the log ends sooner when everything went well.
    async fn stop_when_told(&self, engine: &Engine, mut seen: watch::Receiver<Running>) {
        self.ctx.cancel.cancelled().await;
        let grace = self.ctx.settings.build.grace;
        let deadline = Instant::now() + grace;
        // From now on the driver starts nothing but `finally`.
        if let Err(error) = tokio::fs::write(self.control().join("stop"), "").await {
            tracing::warn!(container = self.container, %error, "telling a build to stop");
        }
        let now = *seen.borrow();
        if now.part != Some(Part::Finally) {
            self.signal(engine, "TERM").await;
            let ended = seen.wait_for(|running| running.ended > now.ended);
            // What takes no hint loses the time that cleaning up would have.
            if !matches!(timeout(grace / 3, ended).await, Ok(Ok(_))) {
                self.signal(engine, "KILL").await;
            }
        }
        sleep_until(deadline).await;
        let killed = timeout(WORD_MAX, engine.kill(&self.container)).await;
        tracing::debug!(container = self.container, ?killed, "killing a build past its grace");
    }

    async fn signal(&self, engine: &Engine, signal: &str) {
        let sent = timeout(WORD_MAX, engine.signal_all(&self.container, signal)).await;
        if !matches!(sent, Ok(Ok(()))) {
            // Full of processes, or just gone. The grace ends with a KILL from outside.
            tracing::info!(container = self.container, signal, ?sent, "a signal did not arrive");
        }
    }

    /// What became of the container, with patience for a Docker that starts again. When its log
    /// `ended`, so will it.
    pub(super) async fn ask(&self, engine: &Engine, ended: bool) -> Result<Option<State>, String> {
        let begin = Instant::now();
        loop {
            let why = match timeout(WORD_MAX, engine.state(&self.container)).await {
                Ok(Ok(Some(State::Running))) if ended && begin.elapsed() < WORD_MAX => {
                    sleep(PAUSE).await;
                    continue;
                }
                Ok(Ok(state)) => return Ok(state),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            if begin.elapsed() > DOCKER_AWAY_MAX {
                return Err(format!("Docker has been away for too long: {why}"));
            }
            sleep(PAUSE).await;
        }
    }
}
