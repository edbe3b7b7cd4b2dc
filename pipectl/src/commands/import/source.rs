//! Source actions.

use super::aws;
use super::convert::{Convert, Source};
use super::names::name;
use super::yaml::{Map, Yaml};

/// Where the commits of a source action come from here.
enum From {
    Repository(String),
    Git(String),
}

/// Writes `source` and returns the artifact it makes.
pub fn write(
    convert: &mut Convert<'_>,
    place: &str,
    action: &aws::Action,
    own: &str,
    fields: &mut Map,
) -> Vec<String> {
    let (from, remark) = origin(convert, place, action, own);
    let mut source = Map::default();
    match &from {
        From::Repository(repository) => source.text("repository", repository),
        From::Git(url) => source.text("git", url),
    };
    if let Some(remark) = remark {
        source.remark(remark);
    }
    let stated = action.setting("BranchName").or(action.setting("Branch"));
    let branch = convert.text(place, stated.unwrap_or("main"));
    source.text("branch", &branch);
    fields.set("source", Yaml::Map(source));
    if action.setting("OutputArtifactFormat") == Some("CODEBUILD_CLONE_REF") {
        let instead =
            "builds get the files of the commit; let a build clone where it needs history";
        convert.tell(place, "a full clone for builds", instead);
    }
    let artifact = action.output_artifacts.first().map(|a| convert.names.artifact(&a.name));
    let artifact = artifact.unwrap_or_else(|| own.to_owned());
    if artifact != own {
        fields.set("outputs", Yaml::Words(vec![artifact.clone()]));
    }
    // A CodeCommit source that does not poll is started by an event, and so is told of pushes.
    let detects = action.setting("DetectChanges").is_none_or(|v| !v.eq_ignore_ascii_case("false"));
    convert.sources.push(Source {
        theirs: action.name.clone(),
        name: own.to_owned(),
        branch,
        detects,
        artifact: artifact.clone(),
    });
    vec![artifact]
}

fn origin(
    convert: &mut Convert<'_>,
    place: &str,
    action: &aws::Action,
    own: &str,
) -> (From, Option<String>) {
    let built_in = |wanted: &str| From::Repository(name(wanted));
    match action.action_type_id.provider.as_str() {
        "CodeCommit" => {
            let repository = action.setting("RepositoryName").unwrap_or(own);
            let from = built_in(repository);
            let instead = format!(
                "push it to the built-in git server as '{}', which makes it on the first push",
                name(repository)
            );
            convert.decide(place, format!("the CodeCommit repository '{repository}'"), instead);
            (from, Some(format!("CodeCommit's repository '{repository}', pushed to here.")))
        }
        "CodeStarSourceConnection" => {
            let id = action.setting("FullRepositoryId").unwrap_or_default();
            let url = format!("https://github.com/{id}.git");
            if !is_path(id) {
                return unknown(convert, place, own, format!("the repository '{id}'"));
            }
            let what = format!("the connection does not say which forge '{id}' is on");
            convert.decide(
                place,
                what,
                format!("{url} is used; change the host where it is another"),
            );
            let remark = "From a connection: change the host where it is not GitHub.".to_owned();
            (From::Git(url), Some(remark))
        }
        "GitHub" => {
            let (owner, repository) = (action.setting("Owner"), action.setting("Repo"));
            let id = format!("{}/{}", owner.unwrap_or_default(), repository.unwrap_or_default());
            if !is_path(&id) {
                return unknown(convert, place, own, format!("the repository '{id}'"));
            }
            let instead =
                "set up the webhook with `pipectl webhook`; a private repository needs access";
            convert.decide(place, "GitHub's token and webhook do not carry over", instead);
            (From::Git(format!("https://github.com/{id}.git")), None)
        }
        "S3" => {
            let bucket = action.setting("S3Bucket").unwrap_or_default();
            let key = action.setting("S3ObjectKey").unwrap_or_default();
            unknown(convert, place, own, format!("the object {key} of the S3 bucket {bucket}"))
        }
        "ECR" => {
            let image = action.setting("RepositoryName").unwrap_or_default();
            unknown(convert, place, own, format!("the image {image} of ECR"))
        }
        provider => unknown(convert, place, own, format!("the source by {provider}")),
    }
}

/// Sources that are no git repository: one of the built-in server stands in.
fn unknown(
    convert: &mut Convert<'_>,
    place: &str,
    own: &str,
    what: String,
) -> (From, Option<String>) {
    let remark = format!("In place of {what}: push what it holds to this built-in repository.");
    let instead = format!(
        "sources are git repositories here: push what it holds to the built-in repository '{own}', or \
         write `git: https://…`"
    );
    convert.decide(place, what, instead);
    (From::Repository(own.to_owned()), Some(remark))
}

/// `owner/repository`, also with groups between.
fn is_path(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part != ".."
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    text.contains('/') && text.split('/').all(part)
}
