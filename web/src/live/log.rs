//! Where a task's log stands, and waiting for more of it.

use crate::Web;
use crate::error::{Error, Result};
use pipelines::ids::TaskId;
use pipelines::protocol::task::TaskKey;
use std::time::Duration;

/// How often the size is looked at: other controllers' writes wake nobody here.
const LOOK: Duration = Duration::from_millis(500);
/// Looks at the size between two looks at the task itself.
const LOOKS_PER_TASK_LOOK: u32 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPlace {
    pub key: TaskKey,
    /// Bytes stored so far.
    pub size: u64,
    /// Nothing will be added.
    pub finished: bool,
}

pub async fn find(web: &Web, task: TaskId) -> Result<LogPlace> {
    let mut conn = web.pool.acquire().await?;
    let row = store::tasks::by_id(&mut conn, task).await?;
    drop(conn);
    let row = row.ok_or_else(|| Error::not_found(format!("task {task}"), ""))?;
    // The task first, then the size: a task is finished only after all of its log is stored.
    let size = web.logs.size(row.key()).await?;
    Ok(LogPlace { key: row.key(), size, finished: row.finished_at.is_some() })
}

/// Waits until the log reaches beyond `offset` or ended, and says where it stands then.
pub async fn wait_for_more(web: &Web, key: TaskKey, offset: u64) -> Result<LogPlace> {
    let mut written = web.logs.watch(key);
    let mut pages = web.wakes.pages_watch();
    let mut looks = 0;
    loop {
        let size = web.logs.size(key).await?;
        if size > offset {
            return find(web, key.task).await;
        }
        if looks % LOOKS_PER_TASK_LOOK == 0 {
            let place = find(web, key.task).await?;
            if place.finished || place.size > offset {
                return Ok(place);
            }
        }
        looks += 1;
        tokio::select! {
            _ = written.changed() => {}
            // The task may have ended: look at it next time.
            _ = pages.changed() => looks = 0,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
