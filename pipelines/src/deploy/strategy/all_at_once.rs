//! All at once: every host in one step.

use super::scene::{Outline, Scene, install};
use crate::deploy::plan::Enter;

pub(super) fn outline(scene: &Scene<'_>) -> Outline {
    Outline {
        steps: vec![install(&scene.ids, scene.total, Enter::Serve)],
        width: scene.total,
        extra: 0,
        whole_zones: true,
        words: "all at once".to_owned(),
    }
}
