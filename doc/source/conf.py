# SPDX-License-Identifier: Apache-2.0
"""Of the documentation."""

import importlib.metadata

extensions = ['openstackdocstheme', 'cliff.sphinxext']

project = 'openstack docker machine'
copyright = 'dockermachine-osc contributors'
release = importlib.metadata.version('dockermachine-osc')
version = release

html_theme = 'openstackdocs'
openstackdocs_repo_name = 'dockermachine-osc'
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_pdf_link = False
pygments_style = 'native'
nitpicky = True

autoprogram_cliff_application = 'openstack'
# What every command that prints a table has.
autoprogram_cliff_ignored = [
    '--help',
    '--format',
    '--column',
    '--max-width',
    '--fit-width',
    '--print-empty',
    '--prefix',
    '--quote',
    '--noindent',
    '--sort-column',
    '--sort-ascending',
    '--sort-descending',
]
