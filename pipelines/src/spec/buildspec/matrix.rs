//! How the dynamic values of a matrix are written: some of them stand below `env`.

use crate::spec::buildspec::DynamicMatrix;
use crate::spec::schema::words::OneOrMany;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Every combination of these values.
#[derive(Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(super) struct DynamicForm {
    /// Files to build by.
    #[serde(default)]
    #[schemars(with = "OneOrMany<String>")]
    buildspec: Vec<String>,
    /// What the builds run in.
    #[serde(default)]
    env: DynamicEnv,
}

/// What the builds of a matrix run in.
#[derive(Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct DynamicEnv {
    /// Sizes of the machine.
    #[serde(default)]
    #[schemars(with = "OneOrMany<String>")]
    compute_type: Vec<String>,
    /// Docker images.
    #[serde(default)]
    #[schemars(with = "OneOrMany<String>")]
    image: Vec<String>,
    /// Each variable with all its values.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, OneOrMany<String>>")]
    variables: BTreeMap<String, Vec<String>>,
}

impl From<DynamicForm> for DynamicMatrix {
    fn from(form: DynamicForm) -> Self {
        let DynamicForm { buildspec, env } = form;
        let DynamicEnv { compute_type, image, variables } = env;
        Self { buildspec, compute_type, image, variables }
    }
}

impl From<DynamicMatrix> for DynamicForm {
    fn from(matrix: DynamicMatrix) -> Self {
        let DynamicMatrix { buildspec, compute_type, image, variables } = matrix;
        Self { buildspec, env: DynamicEnv { compute_type, image, variables } }
    }
}
