use super::*;
use serde_json::{Value, json};

const OCI: &str = types::OCI_IMAGE_MEDIA_TYPE;
const DOCKER: &str = types::IMAGE_MANIFEST_MEDIA_TYPE;

fn descriptor(media_type: &str) -> Value {
    json!({"mediaType": media_type, "digest": format!("sha256:{}", "a".repeat(64)), "size": 10})
}

fn image(media_type: &str) -> Value {
    json!({
        "schemaVersion": 2, "mediaType": media_type,
        "config": descriptor("application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip")],
    })
}

fn read(content_type: Option<&str>, document: &Value) -> Result<Document> {
    parse("x", content_type, document.to_string().as_bytes())
}

#[test]
fn images_are_read_by_their_media_type() {
    assert!(matches!(read(Some(OCI), &image(OCI)), Ok(Document::Image(_))));
    assert!(matches!(read(Some(DOCKER), &image(DOCKER)), Ok(Document::Image(_))));
    assert!(matches!(read(Some("application/json; charset=utf-8"), &image(OCI)), Ok(Document::Image(_))));
    assert!(matches!(read(None, &image(OCI)), Ok(Document::Image(_))));
    let mut bare = image(OCI);
    bare.as_object_mut().unwrap().remove("mediaType");
    assert!(matches!(read(Some(OCI), &bare), Ok(Document::Image(_))));
    assert!(read(Some("text/html"), &bare).is_err());
}

#[test]
fn old_and_odd_images_are_images() {
    for kind in ["application/octet-stream", "application/json", "text/html", ""] {
        let mut document = image(DOCKER);
        document["config"]["mediaType"] = kind.into();
        assert!(matches!(read(Some(DOCKER), &document), Ok(Document::Image(_))), "{kind}");
    }
    let mut document = image(OCI);
    document["config"]["mediaType"] = json!(null);
    document["annotations"] = json!(null);
    document["layers"][0]["urls"] = json!(null);
    document["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar".into();
    let Ok(Document::Image(read_back)) = read(Some(OCI), &document) else { panic!("refused") };
    assert_eq!(read_back.layers[0].compression, Compression::None);
    let mut index = json!({"schemaVersion": 2, "mediaType": null, "annotations": null});
    index["manifests"] = json!([descriptor(OCI)]);
    index["manifests"][0]["platform"] = json!(null);
    assert!(matches!(read(Some(types::OCI_IMAGE_INDEX_MEDIA_TYPE), &index), Ok(Document::Index(_))));
}

#[test]
fn case_10_two_manifests_in_one_are_refused() {
    let mut both = image(OCI);
    both["manifests"] = json!([]);
    for content_type in [OCI, types::OCI_IMAGE_INDEX_MEDIA_TYPE, "application/json"] {
        assert!(read(Some(content_type), &both).is_err());
    }
    let error = read(Some(types::OCI_IMAGE_INDEX_MEDIA_TYPE), &image(OCI)).unwrap_err();
    assert!(error.message().contains("calls itself"), "{error}");
    let mut index = json!({"schemaVersion": 2, "manifests": []});
    assert!(matches!(read(Some(types::OCI_IMAGE_INDEX_MEDIA_TYPE), &index), Ok(Document::Index(_))));
    assert!(read(Some(OCI), &index).is_err());
    index["layers"] = json!(null);
    assert!(read(Some(OCI), &index).is_err());
}

#[test]
fn case_11_digests_in_manifests_are_checked() {
    for bad in ["sha256:../../../etc/passwd", "sha256:A", "", "md5:0"] {
        let mut document = image(OCI);
        document["layers"][0]["digest"] = bad.into();
        assert!(read(Some(OCI), &document).is_err(), "{bad}");
        let mut document = image(OCI);
        document["config"]["digest"] = bad.into();
        assert!(read(Some(OCI), &document).is_err(), "{bad}");
    }
}

#[test]
fn what_is_not_an_image_is_refused_by_name() {
    let mut chart = image(OCI);
    chart["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json".into();
    assert!(read(Some(OCI), &chart).unwrap_err().message().contains("helm"));
    let schema1 = json!({"schemaVersion": 1, "fsLayers": []});
    assert!(read(Some("application/json"), &schema1).unwrap_err().message().contains("schema 1"));
    for (member, value) in [
        ("schemaVersion", json!(1)),
        ("layers", json!({})),
        ("config", json!(null)),
        ("layers", json!([descriptor("application/x-tar")])),
        ("layers", json!([descriptor("application/vnd.oci.image.layer.v1.tar+gzip+encrypted")])),
        ("layers", json!(vec![descriptor("application/vnd.oci.image.layer.v1.tar"); LAYERS_MAX + 1])),
    ] {
        let mut document = image(OCI);
        document[member] = value;
        assert!(read(Some(OCI), &document).is_err(), "{member}");
    }
    let mut negative = image(OCI);
    negative["layers"][0]["size"] = (-1).into();
    assert!(read(Some(OCI), &negative).is_err());
    let mut huge = image(OCI);
    huge["config"]["size"] = (CONFIG_MAX + 1).into();
    assert!(read(Some(OCI), &huge).is_err());
    assert!(parse("x", Some(OCI), b"<html>").is_err());
}

#[test]
fn a_missing_platform_lists_what_there_is() {
    let index = json!({"schemaVersion": 2, "manifests": [
        {"mediaType": OCI, "digest": format!("sha256:{}", "b".repeat(64)), "size": 1,
         "platform": {"os": "linux", "architecture": "s390x"}}]});
    let Document::Index(index) = read(Some(types::OCI_IMAGE_INDEX_MEDIA_TYPE), &index).unwrap() else {
        panic!("an index");
    };
    let s390x = "linux/s390x".parse().unwrap();
    assert!(select("x", &index, &s390x, &s390x).is_ok());
    let (level, asked) = ("linux/amd64/v3".parse().unwrap(), "linux/amd64".parse().unwrap());
    let error = select("x", &index, &level, &asked).unwrap_err();
    assert!(error.hints()[0].contains("linux/s390x"));
}

#[test]
fn text_of_the_registrys_cannot_drive_the_terminal() {
    let mut document = image(OCI);
    document["config"]["mediaType"] = "x\u{1b}[2Jy".into();
    let error = read(Some(OCI), &document).unwrap_err();
    assert!(!error.message().contains('\u{1b}') && error.message().contains("[2Jy"), "{error}");
}
