//! Reads a running build's log to its end, answers its questions, and stops it when told to.

use super::docker::{Engine, State};
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
const DOCKER_AWAY_MAX: Duration = Duration::from_secs(60);
/// For a word to Docker that should take milliseconds.
const WORD_MAX: Duration = Duration::from_secs(5);
/// How long a killed container's output may still come.
const DRAIN_MAX: Duration = Duration::from_secs(30);

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
            if let Some(End::Finished { succeeded: true, .. }) = session.end() {
                session.finish().await;
                return Watched { session, state: None, trouble: None };
            }
            let state = self.ask(engine).await;
            let over = session.end().is_some() || !follow;
            let again = match &state {
                // The log broke off; what it held back is not said yet, and will come again.
                Ok(Some(State::Running)) => !over && read.is_err(),
                // A followed log may lose its last lines.
                Ok(Some(State::Ended { .. })) => !over,
                Ok(Some(State::Created) | None) | Err(_) => false,
            };
            if again {
                follow = matches!(state, Ok(Some(State::Running)));
                continue;
            }
            session.finish().await;
            let (state, trouble) = match state {
                Ok(state) => (state, read.err()),
                Err(trouble) => (None, Some(trouble)),
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

    /// Reads until the log ends; an error when it broke off.
    async fn read(
        &self,
        engine: &Engine,
        record: &Record,
        session: &mut Session<'_>,
        follow: bool,
    ) -> Result<(), String> {
        let (running, seen) = watch::channel(Running::default());
        let stop = self.stop_when_told(engine, seen);
        tokio::pin!(stop);
        let logs = engine.logs(&self.container, follow);
        tokio::pin!(logs);
        let mut drained_by = None;
        loop {
            let drained = drained_by.unwrap_or_else(Instant::now);
            tokio::select! {
                frame = logs.next() => match frame {
                    None => return Ok(()),
                    Some(Err(error)) => return Err(format!("reading the log: {error}")),
                    Some(Ok(frame)) => {
                        let at = frame.at.and_then(|at| record.clock.read(&at));
                        let at = at.unwrap_or_else(|| self.ctx.since.elapsed());
                        session.push(&frame.bytes, at).await;
                        for answer in session.take_answers() {
                            self.answer(answer).await.map_err(|e| format!("answering: {e}"))?;
                        }
                        running.send_replace(session.running());
                    }
                },
                () = &mut stop, if drained_by.is_none() => {
                    drained_by = Some(Instant::now() + DRAIN_MAX);
                }
                () = sleep_until(drained), if drained_by.is_some() => {
                    return Err("Docker did not end the container".to_owned());
                }
            }
        }
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

    /// What became of the container, with patience for a Docker that starts again.
    async fn ask(&self, engine: &Engine) -> Result<Option<State>, String> {
        let give_up = Instant::now() + DOCKER_AWAY_MAX;
        loop {
            let why = match timeout(WORD_MAX, engine.state(&self.container)).await {
                Ok(Ok(state)) => return Ok(state),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            if Instant::now() > give_up {
                return Err(format!("Docker has been away for too long: {why}"));
            }
            sleep(Duration::from_millis(500)).await;
        }
    }
}
