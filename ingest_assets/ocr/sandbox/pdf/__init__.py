"""PDF: what a page shows, and how much of it the file itself says as text.

A page's text layer is taken where nothing speaks against it. What speaks against it is looked for in
the order of its cost:

1. `instructions`: does the page draw anything but plain dark text? `letters`: does the text look like a
   language? Is all of it within the page? This costs about a tenth of reading the text.
2. `view`: only where one of these says so, the page is drawn, small, and compared word by word with the
   text: words where nothing is to be seen, and places where there is something and no word. Where words
   may be hidden it is drawn without its text as well, and without either of two words in one place:
   what looks the same without a word does not show it.
3. Recognition: of those places, or of some lines, to find out whether the text is what the page shows.

Belongs here: all that knows PDFium or pikepdf. Does not belong here: recognition.
"""
