"""What the guided path shows: scenes computed on the tiny model that ships with the app, each in well under a second.

A scene is a function of the settings of a page's controls; its figures come from the same code that prunes real models.
"""
