"""The types of files: what each is called, and whether it is read.

Belongs here: the catalogue, one line a type. Does not belong here: how a type is recognised
(`identification`), and how it is read (`ocr.sandbox.formats`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Format:
    """One type of file.

    Attributes:
        mime_type: by this the database, S3 and the readers know it.
        name: what a person calls it, with its article: "a RAR archive".
        extension: the usual end of its files' names.
        read: whether its text is read; a file of any other type is refused, with its type named.
        local: whether it is read here even where Textract is set, which does not take it.
        holds: whether documents are inside it, which become documents of their own. `perhaps`: its
            reader notes where it does. `always`: it is looked into. `only`: it is nothing else; its
            text is the list of what it holds.
    """

    mime_type: str
    name: str
    extension: str = ""
    read: bool = False
    local: bool = False
    holds: Literal["never", "perhaps", "always", "only"] = "never"


_OFFICE = "application/vnd.openxmlformats-officedocument."
OPEN_DOCUMENT = "application/vnd.oasis.opendocument."

PDF = Format("application/pdf", "a PDF document", ".pdf", read=True, holds="perhaps")
PNG = Format("image/png", "a PNG image", ".png", read=True)
JPEG = Format("image/jpeg", "a JPEG image", ".jpg", read=True)
TIFF = Format("image/tiff", "a TIFF image", ".tif", read=True)
TEXT = Format("text/plain", "plain text", ".txt", read=True, local=True)
HTML = Format("text/html", "a web page", ".html", read=True, local=True)
MAIL = Format("message/rfc822", "an e-mail message", ".eml", read=True, local=True, holds="always")
MBOX = Format("application/mbox", "a mailbox", ".mbox", read=True, local=True, holds="only")
DOCX = Format(
    f"{_OFFICE}wordprocessingml.document",
    "a DOCX document",
    ".docx",
    read=True,
    local=True,
    holds="perhaps",
)

RTF = Format("text/rtf", "an RTF document", ".rtf", read=True, local=True, holds="perhaps")
CALENDAR = Format("text/calendar", "a calendar (ICS)", ".ics", read=True, local=True)
CONTACTS = Format("text/vcard", "a list of contacts (VCF)", ".vcf", read=True, local=True)
POSTSCRIPT = Format("application/postscript", "a PostScript document", ".ps")
SVG = Format("image/svg+xml", "an SVG drawing", ".svg", read=True, local=True)
NETPBM = Format("image/x-portable-anymap", "a PPM, PGM or PBM image", ".ppm", read=True, local=True)
GIF = Format("image/gif", "a GIF image", ".gif", read=True, local=True)
BMP = Format("image/bmp", "a BMP image", ".bmp", read=True, local=True)
WEBP = Format("image/webp", "a WebP image", ".webp", read=True, local=True)
HEIC = Format("image/heic", "a HEIC image", ".heic", read=True, local=True)
AVIF = Format("image/avif", "an AVIF image", ".avif", read=True, local=True)
JP2 = Format("image/jp2", "a JPEG 2000 image", ".jp2", read=True, local=True)
J2K = Format("image/x-jp2-codestream", "a JPEG 2000 image", ".j2k", read=True, local=True)
PCX = Format("image/vnd.zbrush.pcx", "a PCX image", ".pcx", read=True, local=True)
DCX = Format("image/x-dcx", "a PCX image of several pages (DCX)", ".dcx", read=True, local=True)
PSD = Format("image/vnd.adobe.photoshop", "a Photoshop image", ".psd", read=True, local=True)
SGI = Format("image/x-sgi", "an SGI image", ".sgi", read=True, local=True)
XBM = Format("image/x-xbitmap", "an X bitmap", ".xbm", read=True, local=True)

CANON_RAW = Format("image/x-canon-cr2", "a raw photograph of a Canon camera", ".cr2")
PICTURES = (
    *(PNG, JPEG, TIFF, GIF, BMP, WEBP, HEIC, AVIF, JP2, J2K, NETPBM),
    *(PCX, DCX, PSD, SGI, XBM),
)
WEB_ARCHIVE = Format(
    "application/x-mimearchive",
    "a web page saved with its parts (MHTML)",
    ".mht",
    read=True,
    local=True,
    holds="perhaps",
)
SAFARI = Format(
    "application/x-webarchive", "a web page saved by Safari", ".webarchive", read=True, local=True
)
PGP_MESSAGE = Format("application/pgp-encrypted", "a message encrypted with PGP", ".asc")

XLSX = Format(
    f"{_OFFICE}spreadsheetml.sheet",
    "an Excel workbook (XLSX)",
    ".xlsx",
    read=True,
    local=True,
    holds="perhaps",
)
XLSB = Format(
    "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    "an Excel workbook (XLSB)",
    ".xlsb",
    read=True,
    local=True,
    holds="perhaps",
)
PPTX = Format(
    f"{_OFFICE}presentationml.presentation",
    "a PowerPoint presentation (PPTX)",
    ".pptx",
    read=True,
    local=True,
    holds="perhaps",
)
VSDX = Format(
    "application/vnd.ms-visio.drawing.main+xml",
    "a Visio drawing (VSDX)",
    ".vsdx",
    read=True,
    local=True,
    holds="perhaps",
)
XPS = Format("application/vnd.ms-xpsdocument", "an XPS document", ".xps", read=True, local=True)
ODT = Format(
    f"{OPEN_DOCUMENT}text",
    "an OpenDocument text (ODT)",
    ".odt",
    read=True,
    local=True,
    holds="perhaps",
)
ODS = Format(
    f"{OPEN_DOCUMENT}spreadsheet",
    "an OpenDocument spreadsheet (ODS)",
    ".ods",
    read=True,
    local=True,
    holds="perhaps",
)
ODP = Format(
    f"{OPEN_DOCUMENT}presentation",
    "an OpenDocument presentation (ODP)",
    ".odp",
    read=True,
    local=True,
    holds="perhaps",
)
ODG = Format(
    f"{OPEN_DOCUMENT}graphics",
    "an OpenDocument drawing (ODG)",
    ".odg",
    read=True,
    local=True,
    holds="perhaps",
)
ODC = Format(f"{OPEN_DOCUMENT}chart", "an OpenDocument chart (ODC)", ".odc", read=True, local=True)
ODF = Format(f"{OPEN_DOCUMENT}formula", "an OpenDocument formula (ODF)", ".odf", read=True, local=True)
# The same as one XML file each.
FODT, FODS, FODP, FODG = (
    Format(
        f"{OPEN_DOCUMENT}{kind}-flat-xml",
        f"an OpenDocument {name} in one XML file",
        extension,
        read=True,
        local=True,
        holds="perhaps",
    )
    for kind, name, extension in (
        *(("text", "text", ".fodt"), ("spreadsheet", "spreadsheet", ".fods")),
        *(("presentation", "presentation", ".fodp"), ("graphics", "drawing", ".fodg")),
    )
)
FLAT_OFFICE = Format(
    "application/vnd.openxmlformats-package.flat+xml",
    "an Office document in one XML file",
    ".xml",
    read=True,
    local=True,
    holds="perhaps",
)
WORD_2003 = Format(
    "application/vnd.ms-wordml", "a Word 2003 document in XML", ".xml", read=True, local=True
)
EXCEL_2003 = Format(
    "application/vnd.ms-spreadsheetml", "an Excel 2003 workbook in XML", ".xml", read=True, local=True
)
EPUB = Format("application/epub+zip", "an EPUB book", ".epub", read=True, local=True, holds="perhaps")
IWORK = Format(
    "application/vnd.apple.iwork",
    "a Pages, Numbers or Keynote document",
    ".pages",
    read=True,
    local=True,
    holds="perhaps",
)
JAR = Format("application/java-archive", "a Java archive", ".jar")
APK = Format("application/vnd.android.package-archive", "an Android package", ".apk")

ZIP = Format("application/zip", "a ZIP archive", ".zip", read=True, local=True, holds="only")
SEVEN_ZIP = Format(
    "application/x-7z-compressed", "a 7z archive", ".7z", read=True, local=True, holds="only"
)
TAR = Format("application/x-tar", "a TAR archive", ".tar", read=True, local=True, holds="only")
GZIP = Format("application/gzip", "a gzip archive", ".gz", read=True, local=True, holds="only")
BZIP2 = Format("application/x-bzip2", "a bzip2 archive", ".bz2", read=True, local=True, holds="only")
XZ = Format("application/x-xz", "an xz archive", ".xz", read=True, local=True, holds="only")
ZSTANDARD = Format(
    "application/zstd", "a Zstandard archive", ".zst", read=True, local=True, holds="only"
)
LZMA = Format("application/x-lzma", "an LZMA archive", ".lzma", read=True, local=True, holds="only")
# What is signed is inside; of what a detached signature signs, nothing is.
SIGNED = Format(
    "application/pkcs7-mime",
    "a signed message or document (PKCS #7, S/MIME)",
    ".p7m",
    read=True,
    local=True,
    holds="only",
)
SIGNATURE = Format(
    "application/pkcs7-signature", "a signature of another file (PKCS #7, S/MIME)", ".p7s"
)
SEALED = Format(
    "application/x-pkcs7-enveloped",
    "an encrypted message (PKCS #7, S/MIME), which opens only with a private key",
    ".p7m",
)
TNEF = Format(
    "application/vnd.ms-tnef",
    "an Outlook attachment (winmail.dat)",
    ".dat",
    read=True,
    local=True,
    holds="always",
)

DOC = Format(
    "application/msword",
    "a Word document of the old kind (DOC)",
    ".doc",
    read=True,
    local=True,
    holds="perhaps",
)
XLS = Format(
    "application/vnd.ms-excel",
    "an Excel workbook of the old kind (XLS)",
    ".xls",
    read=True,
    local=True,
    holds="perhaps",
)
PPT = Format(
    "application/vnd.ms-powerpoint",
    "a PowerPoint presentation of the old kind (PPT)",
    ".ppt",
    read=True,
    local=True,
    holds="perhaps",
)
MSG = Format(
    "application/vnd.ms-outlook-message",
    "an Outlook message (MSG)",
    ".msg",
    read=True,
    local=True,
    holds="always",
)
PST = Format(
    "application/vnd.ms-outlook",
    "an Outlook mail store (PST)",
    ".pst",
    read=True,
    local=True,
    holds="only",
)
VSD = Format("application/vnd.visio", "a Visio drawing of the old kind (VSD)", ".vsd")
PUB = Format("application/vnd.ms-publisher", "a Publisher document", ".pub")
MPP = Format("application/vnd.ms-project", "a Project plan", ".mpp")
MSI = Format("application/x-msi", "a Windows installer", ".msi")
HWP = Format("application/x-hwp", "a Hangul document (HWP)", ".hwp")
ENCRYPTED_OFFICE = Format(
    "application/x-ole-encrypted-package", "an Office document that opens only with a password"
)
OLE = Format("application/x-ole-storage", "a file of an old Microsoft program (OLE)")

ONENOTE = Format("application/onenote", "a OneNote section", ".one")
WORKS = Format("application/vnd.ms-works", "a document of Microsoft Works", ".wps")
LOTUS_123 = Format("application/vnd.lotus-1-2-3", "a Lotus 1-2-3 worksheet", ".wk1")
XPM = Format("image/x-xpixmap", "an X pixmap", ".xpm")
FLASH = Format("application/x-shockwave-flash", "a Flash film or program", ".swf")
BINHEX = Format("application/mac-binhex40", "a BinHex archive", ".hqx")
DWF = Format("model/vnd.dwf", "an AutoCAD drawing to publish (DWF)", ".dwf")
EPS = Format("image/x-eps", "an EPS drawing", ".eps")
INDESIGN = Format("application/x-indesign", "an InDesign document", ".indd")
QUARK = Format("application/vnd.quark.quarkxpress", "a QuarkXPress document", ".qxd")
LOTUS_NOTES = Format("application/vnd.lotus-notes", "a Lotus Notes database", ".nsf")
UNKNOWN = Format("application/octet-stream", "a file of a type that is not known")

FORMATS: Mapping[str, Format] = {
    format_.mime_type: format_
    for format_ in (
        *(PDF, TEXT, HTML, MAIL, MBOX, DOCX),
        *PICTURES,
        CANON_RAW,
        *(RTF, CALENDAR, CONTACTS, POSTSCRIPT, SVG, WEB_ARCHIVE, SAFARI, PGP_MESSAGE),
        *(XLSX, XLSB, PPTX, VSDX, XPS, ODT, ODS, ODP, ODG, ODC, ODF, EPUB, IWORK, JAR, APK),
        *(FODT, FODS, FODP, FODG, FLAT_OFFICE, WORD_2003, EXCEL_2003),
        *(ZIP, SEVEN_ZIP, TAR, GZIP, BZIP2, XZ, ZSTANDARD, LZMA),
        *(SIGNED, SIGNATURE, SEALED),
        *(DOC, XLS, PPT, MSG, TNEF, PST, VSD, PUB, MPP, MSI, HWP, ENCRYPTED_OFFICE, OLE),
        Format("image/jxl", "a JPEG XL image", ".jxl"),
        Format("image/vnd.microsoft.icon", "a Windows icon", ".ico"),
        Format("image/vnd.djvu", "a DjVu document", ".djvu"),
        Format("image/vnd.dwg", "an AutoCAD drawing (DWG)", ".dwg"),
        Format("image/emf", "a Windows metafile (EMF)", ".emf"),
        Format("image/wmf", "a Windows metafile (WMF)", ".wmf"),
        Format("application/vnd.corel-draw", "a CorelDRAW drawing", ".cdr"),
        Format("audio/x-aiff", "an AIFF sound", ".aiff"),
        Format("image/x-exr", "an OpenEXR image", ".exr"),
        Format("image/x-tga", "a Targa image", ".tga"),
        Format("image/x-xcf", "a GIMP image", ".xcf"),
        Format("application/dicom", "a medical image (DICOM)", ".dcm"),
        Format("audio/aac", "an AAC sound", ".aac"),
        Format("audio/x-hx-aac-adts", "an AAC sound", ".aac"),
        Format("audio/amr", "an AMR sound", ".amr"),
        Format("audio/flac", "a FLAC sound", ".flac"),
        Format("audio/midi", "a MIDI file", ".mid"),
        Format("audio/mpeg", "an MP3 sound", ".mp3"),
        Format("audio/ogg", "an Ogg sound", ".ogg"),
        Format("audio/x-m4a", "an M4A sound", ".m4a"),
        Format("audio/x-wav", "a WAV sound", ".wav"),
        Format("video/3gpp", "a 3GP video", ".3gp"),
        Format("video/mp2t", "an MPEG video (transport stream)", ".ts"),
        Format("video/mp4", "an MP4 video", ".mp4"),
        Format("video/mpeg", "an MPEG video", ".mpg"),
        Format("video/quicktime", "a QuickTime video", ".mov"),
        Format("video/webm", "a WebM video", ".webm"),
        Format("video/x-flv", "a Flash video", ".flv"),
        Format("video/x-matroska", "a Matroska video", ".mkv"),
        Format("video/x-ms-asf", "a Windows Media file", ".wmv"),
        Format("video/x-msvideo", "an AVI video", ".avi"),
        Format("application/vnd.debian.binary-package", "a Debian package", ".deb"),
        Format("application/vnd.ms-cab-compressed", "a CAB archive", ".cab"),
        Format("application/vnd.rar", "a RAR archive", ".rar"),
        Format("application/x-archive", "an ar archive", ".a"),
        Format("application/x-arj", "an ARJ archive", ".arj"),
        Format("application/x-compress", "a compress archive", ".Z"),
        Format("application/x-cpio", "a cpio archive", ".cpio"),
        Format("application/x-iso9660-image", "an image of a CD or DVD", ".iso"),
        Format("application/x-lz4", "an LZ4 archive", ".lz4"),
        Format("application/x-lzh-compressed", "an LZH archive", ".lzh"),
        Format("application/x-ace-compressed", "an ACE archive", ".ace"),
        Format("application/x-lzip", "an lzip archive", ".lz"),
        Format("application/x-stuffit", "a StuffIt archive", ".sit"),
        Format("application/x-xar", "a XAR archive", ".xar"),
        Format("application/x-rpm", "an RPM package", ".rpm"),
        *(ONENOTE, WORKS, LOTUS_123, XPM, FLASH, BINHEX, DWF, EPS, INDESIGN, QUARK),
        Format("application/vnd.apache.parquet", "a Parquet table", ".parquet"),
        Format("application/vnd.ms-htmlhelp", "a Windows help file (CHM)", ".chm"),
        LOTUS_NOTES,
        Format("application/x-ms-dbx", "an Outlook Express mailbox (DBX)", ".dbx"),
        Format("application/x-mswrite", "a Windows Write document", ".wri"),
        Format("application/vnd.apache.arrow.file", "an Arrow table", ".arrow"),
        Format("application/vnd.sqlite3", "an SQLite database", ".sqlite"),
        Format("application/vnd.wordperfect", "a WordPerfect document", ".wpd"),
        Format("application/x-bplist", "an Apple property list", ".plist"),
        Format("application/x-dbf", "a dBase table", ".dbf"),
        Format("application/x-hdf5", "an HDF5 data file", ".h5"),
        Format("application/x-mobipocket-ebook", "a Mobipocket book", ".mobi"),
        Format("application/x-msaccess", "an Access database", ".mdb"),
        Format("application/x-ms-shortcut", "a Windows shortcut", ".lnk"),
        Format("application/x-bittorrent", "a BitTorrent file", ".torrent"),
        Format("application/vnd.tcpdump.pcap", "a capture of network traffic", ".pcap"),
        Format("application/vnd.microsoft.portable-executable", "a Windows program", ".exe"),
        Format("application/x-executable", "a program for Linux or Unix"),
        Format("application/x-pie-executable", "a program for Linux or Unix"),
        Format("application/x-sharedlib", "a program for Linux or Unix", ".so"),
        Format("application/x-object", "part of a program for Linux or Unix", ".o"),
        Format("application/x-mach-binary", "a program for macOS"),
        Format("application/x-java-applet", "a compiled Java class", ".class"),
        Format("font/ttf", "a TrueType font", ".ttf"),
        Format("font/woff", "a font (WOFF)", ".woff"),
        Format("font/woff2", "a font (WOFF2)", ".woff2"),
        Format("application/vnd.ms-opentype", "an OpenType font", ".otf"),
    )
}


def by_mime_type(mime_type: str) -> Format:
    """Return the type of that name; one that the catalogue does not list is named after it."""
    mime_type = mime_type.lower()
    return FORMATS.get(mime_type) or Format(mime_type, f"a file of type {mime_type}")
